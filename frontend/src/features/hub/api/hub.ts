import { api } from '@/shared/api/client'
import type { Model, Page } from '@/shared/types/wire'
import type { Cached, Download, Entry, Hit, Hub, HubName, Repo, Room } from '../types'

const results = async <T>(path: string): Promise<T[]> => (await api<Page<T>>(path)).results
const query = (fields: Record<string, string | undefined>): string =>
  new URLSearchParams(Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))).toString()

export const loadHubs = (): Promise<Hub[]> => results('/api/hubs/')
export const loadCatalogue = (): Promise<Entry[]> => results('/api/catalogue/')
export const loadCached = (): Promise<Cached[]> => results('/api/hubs/cached/')
export const searchHub = (hub: HubName, q: string): Promise<Hit[]> => results(`/api/hubs/${hub}/search/?${query({ q })}`)
/** `file`: a GGUF instead of the usual one; its other pieces come with it. */
export const loadRepo = (hub: HubName, repo: string, revision?: string, file?: string): Promise<Repo> =>
  api(`/api/hubs/${hub}/repo/?${query({ repo, revision, file })}`)

export interface Wanted { hub: HubName; repo: string; revision?: string; files?: string[]; name?: string }
export const startDownload = (wanted: Wanted): Promise<Download> => api('/api/downloads/', { method: 'POST', body: wanted })
export const loadDownloads = (): Promise<Download[]> => results('/api/downloads/')
export type Act = 'pause' | 'resume' | 'cancel'
export const actOn = (id: string, act: Act): Promise<Download> => api(`/api/downloads/${encodeURIComponent(id)}/${act}/`, { method: 'POST' })

export type Source =
  | { kind: 'folder' | 'gguf'; path: string }
  | { kind: 'remote'; base_url: string; model: string; api_key?: string; continues: boolean }
export const addModel = (name: string, source: Source): Promise<Model> => api('/api/models/', { method: 'POST', body: { name, source } })

interface Now { memory: { available_bytes: number; total_bytes: number }; gpus: { total_bytes: number; used_bytes: number }[] }
export async function loadRoom(): Promise<Room> {
  const { memory, gpus } = await api<Now>('/api/monitoring/now/')
  const rooms = gpus.map((gpu) => ({ free_bytes: gpu.total_bytes - gpu.used_bytes, total_bytes: gpu.total_bytes }))
  return [...rooms, { free_bytes: memory.available_bytes, total_bytes: memory.total_bytes }].reduce((best, one) => (one.free_bytes > best.free_bytes ? one : best))
}
