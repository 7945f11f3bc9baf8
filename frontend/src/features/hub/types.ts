import type { Fit } from '@/shared/types/wire'

/** Bodies of /api/hubs/, /api/catalogue/ and /api/downloads/. */

export type HubName = 'modelscope' | 'huggingface'

export interface Hub { hub: HubName; title: string; endpoint: string; reachable: boolean | null; latency_ms: number | null; suggested: boolean }

/** null where the hub does not say; `model` is the id where this house has it. */
export interface Hit {
  hub: HubName
  repo: string
  name: string
  downloads: number | null
  likes: number | null
  license: string | null
  tags: string[]
  updated: string | null
  parameters: number | null
  size_bytes: number | null
  model: string | null
}

export interface RepoFile { path: string; size: number; wanted: boolean; why: string | null }

export interface Said { code: string; message: string }

export interface Repo {
  hub: HubName
  repo: string
  revision: string
  license: string | null
  gated: boolean
  files: RepoFile[]
  size_bytes: number
  family: string | null
  context_length: number | null
  quantization: string | null
  capabilities: string[]
  refused: Said | null
  fit: Fit | null
  free_bytes: number
  /** Where a person reads about it, when the server says. */
  page?: string | null
  model?: string | null
}

export interface Entry {
  id: string
  name: string
  family: string
  parameters: number | null
  size_bytes: number | null
  context_length: number | null
  license: string | null
  capabilities: string[]
  languages: string[]
  needed_bytes: number | null
  modelscope: string | null
  huggingface: string | null
  remote: { base_url: string; model: string } | null
  note: string | null
  model: string | null
}

export interface Cached { path: string; name: string; hub: string; repo: string; size_bytes: number; model: string | null }

export type DownloadState = 'queued' | 'running' | 'paused' | 'verifying' | 'done' | 'failed' | 'cancelled'

export interface Download {
  id: string
  hub: HubName
  repo: string
  revision: string
  state: DownloadState
  bytes_done: number
  bytes_total: number
  progress: number | null
  speed: number | null
  seconds_left: number | null
  files?: { path: string; size: number; done: boolean | number }[]
  error: Said | null
  model: { id: string; name: string } | null
  created: string
  finished: string | null
}

/** How much memory a model may take on this machine now: the largest single device. */
export interface Room { free_bytes: number; total_bytes: number }
