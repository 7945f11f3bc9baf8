import type { ClientFrame, Failure, Message, ServerFrame } from '@/shared/types/wire'
import type { Entry } from './transcript'

/** What was asked and is not accepted yet, with the entries that stand for it until it is. */
export interface Request {
  frame: Extract<ClientFrame, { type: 'turn.start' | 'turn.retry' | 'turn.edit' | 'turn.continue' }>
  user: string | null
  assistant: string
  stop: boolean
}

type Accepted = Extract<ServerFrame, { type: 'turn.accepted' }>
const idOf = (message: string | Message): string => (typeof message === 'string' ? message : message.id)

/** The entries once the server has named what was asked. */
export function withAccepted(entries: Entry[], request: Request, frame: Accepted): Entry[] {
  const goesOn = request.frame.type === 'turn.continue'
  const known = new Set(goesOn ? [] : [frame.user_message, frame.assistant_message].filter((message) => message !== null).map(idOf))
  const own = (id: string) => id === request.user || id === request.assistant
  // A snapshot may have brought back what a new version replaces, or the new version itself.
  const replaced = request.frame.type === 'turn.retry' || request.frame.type === 'turn.edit' ? request.frame.message : null
  const from = entries.findIndex((entry) => entry.message.id === replaced)
  return entries
    .filter((entry, index) => !known.has(entry.message.id) && (from === -1 || index < from || own(entry.message.id)))
    .map((entry) => {
      if (frame.user_message && entry.message.id === request.user) return { ...renamed(entry, frame.user_message), delivery: null }
      if (entry.message.id !== request.assistant) return entry
      const given = renamed(entry, frame.assistant_message)
      const live = { turn: frame.turn, seq: given.message.turn?.seq ?? 0, phase: null, thinkingSince: null }
      const parent = request.user !== null && frame.user_message ? idOf(frame.user_message) : given.message.parent
      return { ...given, message: { ...given.message, parent, status: 'queued' as const }, live, delivery: null }
    })
}

/** The entries after a refusal: the question stays and says why, its answer goes. */
export function withRefused(entries: Entry[], request: Request, error: Failure): Entry[] {
  const edits = request.frame.type === 'turn.edit' ? request.frame.message : undefined
  return entries
    .filter((entry) => request.frame.type === 'turn.continue' || entry.message.id !== request.assistant)
    .map((entry) => (entry.message.id === request.user ? { ...entry, delivery: { state: 'unsent' as const, error, edits } } : entry))
}

function renamed(entry: Entry, to: string | Message): Entry {
  if (typeof to !== 'string') return { ...entry, message: to.parts.length === 0 && entry.message.parts.length > 0 ? { ...to, parts: entry.message.parts } : to }
  const { siblings } = entry.message
  return { ...entry, message: { ...entry.message, id: to, siblings: siblings.map((id) => (id === entry.message.id ? to : id)) } }
}
