import { changeModel, deleteConversation, loadConversation, loadConversations, renameConversation } from '@/features/conversations/api/conversations'
import { session } from '@/shared/api/session'
import { cache } from '@/shared/lib/storage'
import { Store } from '@/shared/lib/store'
import { onFrame, onSocketOpen } from '@/shared/socket'
import type { Conversation } from '@/shared/types/wire'
import { NOTHING, quiet, withConversation, withFrame, withMore, without, withPage, type List } from './list'

const KEPT = 100
const UNDO_MS = 6_000

/** The signed-in person's conversations, as far as they were loaded. */
export const conversations = new Store<List>(NOTHING)

const cacheKey = (): string | null => {
  const user = session.get()?.user
  return user ? `hearth.list.${user.id}` : null
}

conversations.subscribe(() => {
  const { state, items } = conversations.get()
  const key = cacheKey()
  if (key && state === 'ready') cache.write(key, items.slice(0, KEPT))
})

export async function refreshConversations(): Promise<void> {
  try {
    const page = await loadConversations()
    conversations.update((list) => withPage(list, page))
  } catch {
    conversations.update((list) => (list.items.length > 0 ? list : { ...list, state: 'failed' }))
  }
}

export async function moreConversations(): Promise<void> {
  const { next } = conversations.get()
  if (!next) return
  const page = await loadConversations(next)
  conversations.update((list) => (list.next === next ? withMore(list, page) : list))
}

/** The new title stands at once; it falls back when the server refuses it. Throws ApiError then. */
export async function rename(conversation: Conversation, title: string): Promise<void> {
  conversations.update((list) => withConversation(list, { ...conversation, title }))
  try {
    const changed = await renameConversation(conversation.id, title)
    conversations.update((list) => withConversation(list, changed))
  } catch (error) {
    conversations.update((list) => withConversation(list, { id: conversation.id, title: conversation.title }))
    throw error
  }
}

export const setQuiet = (id: string): void => conversations.update((list) => quiet(list, id))

/** The model that answers in this conversation from now on. Throws ApiError. */
export async function setModel(id: string, model: string): Promise<void> {
  const changed = await changeModel(id, model)
  conversations.update((list) => withConversation(list, { ...changed, running: list.items.find((item) => item.id === id)?.running }))
}

const leaving = new Map<string, ReturnType<typeof setTimeout>>()

/** Out of sight now, gone on the server when nobody has undone it; closing the page does not undo. */
export function remove(id: string, hooks: { done: () => void; failed: (error: unknown) => void }): () => void {
  conversations.update((list) => ({ ...list, hidden: [...list.hidden, id] }))
  const undo = (): void => {
    if (!leaving.has(id)) return
    clearTimeout(leaving.get(id))
    leaving.delete(id)
    conversations.update((list) => ({ ...list, hidden: list.hidden.filter((other) => other !== id) }))
  }
  leaving.set(id, setTimeout(() => {
    leaving.delete(id)
    deleteConversation(id).then(() => {
      conversations.update((list) => without(list, id))
      hooks.done()
    }).catch((error: unknown) => {
      conversations.update((list) => ({ ...list, hidden: list.hidden.filter((other) => other !== id) }))
      hooks.failed(error)
    })
  }, UNDO_MS))
  return undo
}

function leaveNow(): void {
  for (const [id, timer] of leaving) {
    clearTimeout(timer)
    deleteConversation(id, true).catch(() => undefined)
  }
  leaving.clear()
}

/** Shows what this browser remembers, then what the server says; from then on frames keep it true. */
export function connectConversations(): () => void {
  const key = cacheKey()
  const kept = key ? cache.read<Conversation[]>(key) : null
  conversations.set(kept ? { ...NOTHING, state: 'ready', items: kept.map((item) => ({ ...item, running: false })) } : NOTHING)
  void refreshConversations()
  let opened = false
  const stops = [
    onFrame((frame) => {
      const { list, unknown } = withFrame(conversations.get(), frame, new Date().toISOString())
      conversations.set(list)
      if (unknown) loadConversation(unknown).then((found) => conversations.update((now) => withConversation(now, found))).catch(() => undefined)
    }),
    onSocketOpen(() => {
      if (opened) {
        conversations.update((list) => ({ ...list, running: {} })) // ends may have been missed
        void refreshConversations()
      }
      opened = true
    }),
  ]
  window.addEventListener('pagehide', leaveNow)
  return () => {
    for (const stop of stops) stop()
    window.removeEventListener('pagehide', leaveNow)
    leaveNow()
    conversations.set(NOTHING)
  }
}
