import type { Conversation, Page, ServerFrame } from '@/shared/types/wire'

export interface List {
  state: 'loading' | 'ready' | 'failed'
  items: Conversation[]
  next: string | null
  /** Turns that are being written, by turn: a living dot at their conversation. */
  running: Record<string, string>
  /** Turns that ended lately: a hint of their start may come after their end. */
  over: string[]
  /** Deleted here, not yet on the server: out of sight until undone or done. */
  hidden: string[]
}

export const NOTHING: List = { state: 'loading', items: [], next: null, running: {}, over: [], hidden: [] }

/** The newest page from the server. What is older than it, and was loaded already, stays. */
export function withPage(list: List, page: Page<Conversation>): List {
  const fresh = new Set(page.results.map((item) => item.id))
  const oldest = page.results.at(-1)
  const index = oldest ? list.items.findIndex((item) => item.id === oldest.id) : -1
  const rest = page.next !== null && index >= 0 ? list.items.slice(index + 1).filter((item) => !fresh.has(item.id)) : []
  return { ...list, state: 'ready', items: [...page.results, ...rest], next: rest.length > 0 ? list.next ?? page.next : page.next }
}

export function withMore(list: List, page: Page<Conversation>): List {
  const known = new Set(list.items.map((item) => item.id))
  return { ...list, items: [...list.items, ...page.results.filter((item) => !known.has(item.id))], next: page.next }
}

export function withConversation(list: List, changed: Conversation): List {
  if (changed.deleted) return without(list, changed.id)
  const index = list.items.findIndex((item) => item.id === changed.id)
  if (index === -1) return { ...list, items: [changed, ...list.items] }
  return { ...list, items: list.items.with(index, { ...list.items[index], ...changed }) }
}

export function without(list: List, id: string): List {
  return { ...list, items: list.items.filter((item) => item.id !== id), hidden: list.hidden.filter((other) => other !== id) }
}

const OVER_KEPT = 50

export const visible = (list: List): Conversation[] => list.items.filter((item) => !list.hidden.includes(item.id))
export const isRunningIn = (list: List, conversation: Conversation): boolean => Object.values(list.running).includes(conversation.id) || conversation.running === true

/** A frame's effect on the list; `unknown` names a conversation that has to be fetched first. */
export function withFrame(list: List, frame: ServerFrame, now: string): { list: List; unknown?: string } {
  switch (frame.type) {
    case 'conversation.changed': return { list: withConversation(list, frame.conversation) }
    case 'turn.accepted':
    case 'turn.started': return begun(list, frame.turn, frame.conversation, now)
    case 'turn.event': {
      const last = frame.event.kind === 'finished' || frame.event.kind === 'failed'
      if (last) return { list: ended(list, frame.turn, frame.conversation) }
      // After a reconnect the events themselves say who is still writing.
      return { list: frame.turn in list.running ? list : { ...list, running: { ...list.running, [frame.turn]: frame.conversation } } }
    }
    default: return { list }
  }
}

function begun(list: List, turn: string, id: string, now: string): { list: List; unknown?: string } {
  const running = list.over.includes(turn) ? list.running : { ...list.running, [turn]: id }
  const item = list.items.find((candidate) => candidate.id === id)
  if (!item) return { list: { ...list, running }, unknown: id }
  return { list: { ...list, running, items: [{ ...item, updated: now }, ...list.items.filter((other) => other !== item)] } }
}

function ended(list: List, turn: string, id: string): List {
  const { [turn]: _over, ...running } = list.running
  const items = list.items.map((item) => (item.id === id && item.running ? { ...item, running: false } : item))
  return { ...list, running, items, over: [...list.over.slice(1 - OVER_KEPT), turn] }
}

/** Nothing is written in this conversation, whatever was said before. */
export function quiet(list: List, id: string): List {
  const running = Object.fromEntries(Object.entries(list.running).filter(([, conversation]) => conversation !== id))
  return { ...list, running, items: list.items.map((item) => (item.id === id && item.running ? { ...item, running: false } : item)) }
}
