import { loadMessages, loadMore, showMessage } from '@/features/chat/api/messages'
import { Chat, type ChatPorts } from '@/features/chat/stores/chat'
import { drafts } from '@/features/chat/stores/drafts'
import { session } from '@/shared/api/session'
import { cache } from '@/shared/lib/storage'
import { onFrame, onSocketOpen, socket } from '@/shared/socket'
import type { Failure, Message } from '@/shared/types/wire'

const KEEP = 20
const KEPT_MESSAGES = 60

/** The chats of this tab: those on the screen, those that still write, and a few recent ones. */
const open = new Map<string, Chat>()
let blank: Chat | null = null
let onNamed: (chat: Chat, conversation: string) => void = () => undefined
let onRefused: (error: Failure) => void = () => undefined

const cacheKey = (conversation: string): string | null => {
  const user = session.get()?.user
  return user ? `hearth.snap.${user.id}.${conversation}` : null
}

const ports: ChatPorts = {
  send: (frame) => socket.send(frame),
  load: loadMessages,
  loadMore,
  show: showMessage,
  named: (chat, conversation) => {
    if (blank === chat) blank = null
    open.set(conversation, chat)
    onNamed(chat, conversation)
  },
  taken: (conversation, content) => { if (drafts.read(conversation).trim() === content) drafts.write(conversation, '') },
  refused: (error) => onRefused(error),
  settled: (chat) => {
    const key = chat.id === null ? null : cacheKey(chat.id)
    if (key) cache.write(key, chat.messages().slice(-KEPT_MESSAGES))
  },
  now: () => Date.now(),
}

/** The chat of a conversation, or the one that has no conversation yet. */
export function chatOf(conversation: string | null): Chat {
  if (conversation === null) return (blank ??= new Chat(null, ports))
  const here = open.get(conversation)
  if (here) {
    open.delete(conversation)
    open.set(conversation, here) // most recent last
    return here
  }
  const key = cacheKey(conversation)
  const chat = new Chat(conversation, ports, (key && cache.read<Message[]>(key)) || [])
  open.set(conversation, chat)
  trim()
  return chat
}

/** Watches what is written there, though nobody has opened it, so that its end is known. True: it is written. */
export async function followChat(conversation: string): Promise<boolean> {
  const chat = chatOf(conversation)
  if (!chat.busy) await chat.read()
  return chat.busy
}

function trim(): void {
  for (const [id, chat] of open) {
    if (open.size <= KEEP) return
    if (!chat.watched && !chat.busy) open.delete(id)
  }
}

export function forgetChat(conversation: string): void {
  open.delete(conversation)
  const key = cacheKey(conversation)
  if (key) cache.remove(key)
}

/** Nothing of one person may be seen by the next. */
export function forgetChats(): void {
  open.clear()
  blank = null
}

/** The app says where to go when a new conversation gets its name, and how to tell of a refusal. */
export function connectChats(hooks: { named: (chat: Chat, conversation: string) => void; refused: (error: Failure) => void }): () => void {
  onNamed = hooks.named
  onRefused = hooks.refused
  const all = (): Chat[] => [...open.values(), ...(blank ? [blank] : [])]
  const stops = [
    onFrame((frame) => {
      const owners = all().filter((chat) => chat.owns(frame))
      for (const chat of owners) chat.receive(frame)
      // Another tab writes in a conversation that is not open here: watch it too, so that its end is known.
      if (frame.type === 'turn.started' && owners.length === 0 && !blank?.busy) void followChat(frame.conversation)
    }),
    onSocketOpen(() => { for (const chat of all()) chat.reconnected() }),
  ]
  return () => { for (const stop of stops) stop() }
}
