import { api } from '@/shared/api/client'
import type { Message, Page } from '@/shared/types/wire'

/** The newest page of the active branch, oldest first; `next` leads to older messages. */
export const loadMessages = (conversation: string): Promise<Page<Message>> => api(`/api/conversations/${encodeURIComponent(conversation)}/messages/`)

/** `next` may name the host as the server sees it; behind a proxy only its path is right. */
export function loadMore(url: string): Promise<Page<Message>> {
  const { pathname, search } = new URL(url, location.origin)
  return api(pathname + search)
}

export const showMessage = (conversation: string, message: string): Promise<void> =>
  api(`/api/conversations/${encodeURIComponent(conversation)}/active/`, { method: 'PATCH', body: { message } })
