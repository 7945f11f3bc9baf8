import { api } from '@/shared/api/client'
import { session } from '@/shared/api/session'
import type { Fit, Model, Page, User } from '@/shared/types/wire'
import { fitPath } from '../stores/fit'

const pathOf = (id: string, action = ''): string => `/api/models/${encodeURIComponent(id)}/${action}`

/** Models are few; a page's `next` is followed to the end. */
export async function loadModels(): Promise<Model[]> {
  const models: Model[] = []
  let next: string | null = '/api/models/'
  while (next) {
    const { pathname, search }: URL = new URL(next, location.origin)
    const page: Page<Model> = await api(pathname + search)
    models.push(...page.results)
    next = page.next
  }
  return models
}

export interface Changes { settings?: Record<string, unknown>; engine?: string; is_default?: boolean; enabled?: boolean; for_everyone?: boolean; users?: string[] }

export const changeModel = (id: string, changes: Changes): Promise<Model> => api(pathOf(id), { method: 'PATCH', body: changes })
export const deleteModel = (id: string, files: boolean): Promise<void> => api(`${pathOf(id)}${files ? '?files=true' : ''}`, { method: 'DELETE' })
export const loadModel = (id: string): Promise<unknown> => api(pathOf(id, 'load/'), { method: 'POST' })
export const pinModel = (id: string, pinned: boolean): Promise<unknown> => api(pathOf(id, 'pin/'), { method: 'POST', body: { pinned } })
export const unloadModel = (id: string): Promise<unknown> => api(pathOf(id, 'unload/'), { method: 'POST' })
export const askFit = (id: string, context?: number | null, concurrency?: number | null): Promise<Fit> => api(fitPath(id, context, concurrency))

/** `''` follows the house's default again. */
export async function makeMyDefault(id: string): Promise<void> {
  const user = await api<User>('/api/auth/me/', { method: 'PATCH', body: { default_model: id } })
  session.update((value) => value && { ...value, user })
}

export const startDownload = (from: { hub: string; repo: string; revision?: string }): Promise<unknown> => api('/api/downloads/', { method: 'POST', body: from })
export const steerDownload = (id: string, action: 'pause' | 'resume' | 'cancel'): Promise<unknown> => api(`/api/downloads/${encodeURIComponent(id)}/${action}/`, { method: 'POST' })

/** The key itself comes back this once. */
export const makeKey = (name: string): Promise<{ id: string; key: string }> => api('/api/auth/keys/', { method: 'POST', body: { name } })
