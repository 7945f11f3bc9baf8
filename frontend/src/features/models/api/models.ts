import { api } from '@/shared/api/client'
import type { Model, Page } from '@/shared/types/wire'

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

export const addFolder = (name: string, path: string): Promise<Model> => api('/api/models/', { method: 'POST', body: { name, source: { kind: 'folder', path } } })
export const makeDefault = (id: string): Promise<Model> => api(pathOf(id), { method: 'PATCH', body: { is_default: true } })
export const loadModel = (id: string): Promise<unknown> => api(pathOf(id, 'load/'), { method: 'POST' })
export const pinModel = (id: string, pinned: boolean): Promise<unknown> => api(pathOf(id, 'pin/'), { method: 'POST', body: { pinned } })
export const unloadModel = (id: string): Promise<unknown> => api(pathOf(id, 'unload/'), { method: 'POST' })
