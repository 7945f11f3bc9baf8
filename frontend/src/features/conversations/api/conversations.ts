import { api } from '@/shared/api/client'
import type { Conversation, Page } from '@/shared/types/wire'

const pathOf = (id: string): string => `/api/conversations/${encodeURIComponent(id)}/`

/** Newest first. `next` may name the host as the server sees it; only its path and cursor are used. */
export function loadConversations(next?: string): Promise<Page<Conversation>> {
  if (!next) return api('/api/conversations/')
  const { pathname, search } = new URL(next, location.origin)
  return api(pathname + search)
}

export const loadConversation = (id: string): Promise<Conversation> => api(pathOf(id))
export const renameConversation = (id: string, title: string): Promise<Conversation> => api(pathOf(id), { method: 'PATCH', body: { title } })
export const changeModel = (id: string, model: string): Promise<Conversation> => api(pathOf(id), { method: 'PATCH', body: { model } })
export const deleteConversation = (id: string, keepalive = false): Promise<void> => api(pathOf(id), { method: 'DELETE', keepalive })
