import type { Failure, Message, MessageStatus, Part, Phase, TurnEvent } from '@/shared/types/wire'

/** A turn that is being made: the last event that is in `parts`, and what is true right now. */
export interface Live { turn: string; seq: number; phase: Phase | null; thinkingSince: number | null }

/** `sending` waits for `turn.accepted`; `unsent` was refused and says why, and which message it was to replace. */
export type Delivery = { state: 'sending' } | { state: 'unsent'; error: Failure; edits?: string }

export interface Entry {
  /** Stays the same when the server gives the message its id, so nothing on the screen is built anew. */
  key: string
  message: Message
  live: Live | null
  /** The last turn that ended here: a late snapshot must not wake it again. */
  ended: string | null
  reason: 'stop' | 'length' | 'stopped' | 'interrupted' | null
  failure: Failure | null
  delivery: Delivery | null
}

export type Loading = 'new' | 'loading' | 'ready' | 'failed' | 'missing'
export interface Transcript { loading: Loading; entries: Entry[]; older: string | null }

export const EMPTY: Transcript = { loading: 'new', entries: [], older: null }

const RUNNING: MessageStatus[] = ['queued', 'streaming']
export const isRunning = (entry: Entry): boolean => RUNNING.includes(entry.message.status)
export const textOf = (message: Message): string => message.parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
/** The newest question that the server has: the one that Arrow-up takes up again. */
export const lastQuestion = (transcript: Transcript): string | null =>
  transcript.entries.findLast((entry) => entry.message.role === 'user' && !entry.delivery)?.message.id ?? null
export const runningEntry = (transcript: Transcript): Entry | undefined => transcript.entries.findLast((entry) => isRunning(entry))

export function entryOf(message: Message): Entry {
  const last = message.parts.at(-1)
  // When its thinking began is not on the wire; what is counted is how long we have watched it.
  const thinkingSince = message.turn && last?.type === 'reasoning' && !last.seconds ? Date.now() : null
  const live = message.turn ? { turn: message.turn.id, seq: message.turn.seq, phase: null, thinkingSince } : null
  return { key: message.id, message, live, ended: null, reason: null, failure: message.error ?? null, delivery: null }
}

export function draftMessage(id: string, role: 'user' | 'assistant', parent: string | null, status: MessageStatus, text: string, model: string | null): Message {
  const parts: Part[] = text ? [{ type: 'text', text }] : []
  return { id, parent, siblings: [id], role, status, parts, model, usage: null, created: new Date().toISOString(), turn: null }
}

/** What the server says, over what is here: what is not sent yet stays, and a stream that is ahead of the snapshot stays ahead. */
export function withSnapshot(now: Transcript, messages: Message[], older: string | null): Transcript {
  const known = new Map(now.entries.map((entry) => [entry.message.id, entry]))
  const fresh = messages.map((message) => merged(known.get(message.id), message))
  const first = messages[0]?.id
  const start = now.entries.findIndex((entry) => entry.message.id === first)
  const before = start > 0 ? now.entries.slice(0, start) : []
  const ids = new Set(messages.map((message) => message.id))
  const waiting = now.entries.filter((entry) => entry.delivery !== null && !ids.has(entry.message.id))
  return { loading: 'ready', entries: [...before, ...fresh, ...waiting], older: before.length > 0 ? now.older : older }
}

function merged(here: Entry | undefined, message: Message): Entry {
  const next = entryOf(message)
  if (!here) return next
  next.key = here.key
  const turn = message.turn
  if (turn && here.ended === turn.id) return here
  if (turn && here.live?.turn === turn.id) {
    if (here.live.seq >= turn.seq) return here
    next.live = { ...here.live, seq: turn.seq }
  }
  next.ended = here.ended
  next.reason = here.reason
  next.failure ??= message.status === 'failed' ? here.failure : null
  return next
}

export function withOlder(now: Transcript, messages: Message[], older: string | null): Transcript {
  const known = new Set(now.entries.map((entry) => entry.message.id))
  const before = messages.filter((message) => !known.has(message.id)).map(entryOf)
  return { ...now, entries: [...before, ...now.entries], older }
}

/** `applied` and `duplicate` are fine; after `gap` the caller watches again from the seq that is here; `unknown` has no entry. */
export type Outcome = 'applied' | 'duplicate' | 'gap' | 'unknown'

export function withEvent(now: Transcript, turn: string, seq: number, event: TurnEvent, at: number): [Transcript, Outcome] {
  const index = now.entries.findLastIndex((entry) => entry.live?.turn === turn || entry.ended === turn)
  const entry = now.entries[index]
  if (!entry) return [now, 'unknown']
  if (!entry.live || entry.live.turn !== turn || seq <= entry.live.seq) return [now, 'duplicate']
  if (seq > entry.live.seq + 1) return [now, 'gap']
  const next = stepped({ ...entry, live: { ...entry.live, seq } }, event, at)
  return [{ ...now, entries: now.entries.with(index, next) }, 'applied']
}

function stepped(entry: Entry & { live: Live }, event: TurnEvent, at: number): Entry {
  switch (event.kind) {
    case 'status': return { ...entry, live: { ...entry.live, phase: event } }
    case 'text': return writing(entry, event.text, 'text', at)
    case 'reasoning': return writing(entry, event.text, 'reasoning', at)
    case 'tool_call': return added(entry, { type: 'tool_call', id: event.id, name: event.name, arguments: event.arguments })
    case 'tool_result': return added(entry, { type: 'tool_result', id: event.id, ok: event.ok, content: event.content, data: event.data })
    case 'usage': {
      const { kind: _kind, ...usage } = event
      return { ...entry, message: { ...entry.message, usage: { ...entry.message.usage, ...usage } } }
    }
    case 'finished': {
      const status = event.reason === 'stopped' || event.reason === 'interrupted' ? event.reason : 'done'
      return { ...over(entry, status, at), reason: event.reason }
    }
    case 'failed': return { ...over(entry, 'failed', at), failure: { code: event.code, message: event.message, retryable: event.retryable, extra: event.extra } }
    default: return entry
  }
}

function over(entry: Entry & { live: Live }, status: MessageStatus, at: number): Entry {
  const parts = thoughtFor(entry, at)
  return { ...entry, message: { ...entry.message, status, parts, turn: null }, live: null, ended: entry.live.turn }
}

function writing(entry: Entry & { live: Live }, text: string, type: 'text' | 'reasoning', at: number): Entry {
  const parts = type === 'text' ? [...thoughtFor(entry, at)] : [...entry.message.parts]
  const last = parts.at(-1)
  if (last?.type === type) parts[parts.length - 1] = { ...last, text: last.text + text }
  else parts.push({ type, text })
  const thinkingSince = type === 'reasoning' ? (entry.live.thinkingSince ?? at) : null
  // Words are proof that the model is past loading and reading, whatever status came last.
  const phase: Phase = { phase: 'generating' }
  return { ...entry, message: { ...entry.message, status: 'streaming', parts }, live: { ...entry.live, phase, thinkingSince } }
}

function added(entry: Entry & { live: Live }, part: Part): Entry {
  return { ...entry, message: { ...entry.message, status: 'streaming', parts: [...entry.message.parts, part] } }
}

/** Closes the reasoning that was running: how long it took is known now. */
function thoughtFor(entry: Entry & { live: Live }, at: number): Part[] {
  const since = entry.live.thinkingSince
  const last = entry.message.parts.at(-1)
  if (since === null || last?.type !== 'reasoning' || last.seconds) return entry.message.parts
  return entry.message.parts.with(-1, { ...last, seconds: Math.max(1, Math.round((at - since) / 1000)) })
}
