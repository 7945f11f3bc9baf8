/** Bodies of /api/hubs/, /api/catalogue/ and /api/downloads/: the server's own, with the names of hubs spelled out. */

import type { components } from '@/shared/types/api'
import type { Fit } from '@/shared/types/wire'

type Schemas = components['schemas']

export type HubName = 'modelscope' | 'huggingface'

export type Hub = Omit<Schemas['Hub'], 'hub'> & { hub: HubName }
export type Hit = Omit<Schemas['Hit'], 'hub'> & { hub: HubName }
export type RepoFile = Schemas['RepoFile']
export type Repo = Omit<Schemas['Repo'], 'hub' | 'fit'> & { hub: HubName; fit: Fit | null }
export type Entry = Schemas['CatalogueEntry']
export type Cached = Schemas['Cached']
export type Download = Omit<Schemas['Download'], 'hub'> & { hub: HubName }
export type DownloadState = Download['state']

/** How much memory a model may take on this machine now: the largest single device. */
export interface Room { free_bytes: number; total_bytes: number }
