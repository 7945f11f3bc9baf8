import { ApiError } from '@/shared/api/errors'
import { newId } from '@/shared/lib/id'
import { Store } from '@/shared/lib/store'
import type { ClientFrame, Failure, Message, Page, ServerFrame } from '@/shared/types/wire'
import { withAccepted, withRefused, type Request } from './requests'
import {
  draftMessage, EMPTY, entryOf, isRunning, runningEntry, textOf, withEvent, withOlder, withSnapshot, type Entry, type Transcript,
} from './transcript'

/** All that a chat needs of the world; a test brings its own. */
export interface ChatPorts {
  send: (frame: ClientFrame) => boolean
  load: (conversation: string) => Promise<Page<Message>>
  loadMore: (url: string) => Promise<Page<Message>>
  /** Puts another sibling on show. */
  show: (conversation: string, message: string) => Promise<void>
  /** The server has taken the first message of a new conversation. */
  named: (chat: Chat, conversation: string) => void
  /** A question is safe on the server: its draft may go. */
  taken: (conversation: string | null, content: string) => void
  /** A retry was refused; the transcript reads itself again. */
  refused: (error: Failure) => void
  /** Something worth keeping in the browser has changed. */
  settled: (chat: Chat) => void
  now: () => number
}

type Frame<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>

/** How often readers are told while text streams in. */
export const TELL_MS = 50
let made = 0

/** One conversation on the screen: the transcript, what is on its way to the server, and the reducers' driver. */
export class Chat {
  readonly key = `chat-${(made += 1)}`
  id: string | null
  /** The model chosen here by hand; null follows the conversation. */
  readonly pick = new Store<string | null>(null)
  private transcript: Transcript = EMPTY
  private told: Transcript = EMPTY
  private timer: ReturnType<typeof setTimeout> | undefined
  private listeners = new Set<() => void>()
  private requests = new Map<string, Request>()
  private foreign = new Set<string>()
  private gaps = new Set<string>()
  private strangers = new Set<string>()
  private reading: Promise<void> | null = null
  private stale = true

  constructor(id: string | null, private readonly ports: ChatPorts, cached: Message[] = []) {
    this.id = id
    if (id !== null) this.change({ loading: cached.length > 0 ? 'ready' : 'loading', entries: cached.map(entryOf), older: null })
  }

  get = (): Transcript => this.told
  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => { this.listeners.delete(listener) }
  }
  get watched(): boolean { return this.listeners.size > 0 }
  get busy(): boolean { return this.requests.size > 0 || runningEntry(this.transcript) !== undefined }
  messages = (): Message[] => this.transcript.entries.filter((entry) => !entry.delivery).map((entry) => entry.message)

  // ---- what the person does

  /** `expected`: the model that answers when none is named, as far as the page knows. */
  ask(content: string, model: string | undefined, expected?: string): void {
    const client_id = newId()
    const parent = this.transcript.entries.at(-1)?.message.id ?? null
    const user = draftMessage(`u-${client_id}`, 'user', parent, 'done', content, null)
    const frame = { type: 'turn.start' as const, client_id, conversation: this.id, content, ...(model ? { model } : {}) }
    this.request(frame, this.transcript.entries, user, [], expected)
  }

  /** Other words in the place of this question (and of all below it). */
  edit(message: string, content: string): void {
    const at = this.transcript.entries.findIndex((entry) => entry.message.id === message)
    const old = this.transcript.entries[at]?.message
    if (!old) return
    const client_id = newId()
    const user = draftMessage(`u-${client_id}`, 'user', old.parent, 'done', content, null)
    user.siblings = [...old.siblings, user.id]
    this.request({ type: 'turn.edit', client_id, message, content }, this.transcript.entries.slice(0, at), user, [])
  }

  /** A new answer in the place of this one (and of all below it). */
  retry(message: string, model?: string): void {
    const at = this.transcript.entries.findIndex((entry) => entry.message.id === message)
    const entry = this.transcript.entries[at]
    if (!entry) return
    const client_id = newId()
    const frame = { type: 'turn.retry' as const, client_id, message, ...(model ? { model } : {}) }
    this.request(frame, this.transcript.entries.slice(0, at), null, entry.message.siblings)
  }

  /** A new turn that goes on in the same answer. */
  goOn(message: string): void {
    const client_id = newId()
    const frame: Request['frame'] = { type: 'turn.continue', client_id, message }
    this.requests.set(client_id, { frame, user: null, assistant: message, stop: false })
    this.change({ ...this.transcript, entries: this.transcript.entries.map((entry) => (entry.message.id !== message ? entry
      : { ...entry, message: { ...entry.message, status: 'queued' as const }, reason: null, failure: null, delivery: { state: 'sending' as const } })) })
    this.ports.send(frame)
  }

  /** Shows another version of a message, and what came after it. Throws ApiError. */
  async show(message: string): Promise<void> {
    if (this.id === null) return
    await this.ports.show(this.id, message)
    await this.read()
  }

  /** The message was refused: the same words once more, as a new request. */
  resend(key: string, model: string | undefined): void {
    const entry = this.transcript.entries.find((candidate) => candidate.key === key)
    if (entry?.delivery?.state !== 'unsent') return
    const { edits } = entry.delivery
    this.change({ ...this.transcript, entries: this.transcript.entries.filter((candidate) => candidate.delivery?.state !== 'unsent') })
    if (edits === undefined) this.ask(textOf(entry.message), model)
    else this.edit(edits, textOf(entry.message))
  }

  stop(): void {
    for (const request of this.requests.values()) request.stop = true // no turn yet: stopped as soon as it has a name
    const live = runningEntry(this.transcript)?.live
    if (live) this.ports.send({ type: 'turn.stop', turn: live.turn })
  }

  private request(frame: Exclude<Request['frame'], { type: 'turn.continue' }>, before: Entry[], user: Message | null, siblings: string[], expected?: string): void {
    const parent = user?.id ?? before.at(-1)?.message.id ?? null
    const answer = draftMessage(`a-${frame.client_id}`, 'assistant', parent, 'queued', '', ('model' in frame ? frame.model : undefined) ?? expected ?? null)
    answer.siblings = [...siblings, answer.id]
    const added = [user, answer].filter((message) => message !== null).map((message): Entry => ({ ...entryOf(message), delivery: { state: 'sending' } }))
    this.requests.set(frame.client_id, { frame, user: user?.id ?? null, assistant: answer.id, stop: false })
    this.change({ ...this.transcript, loading: 'ready', entries: [...before, ...added] })
    this.ports.send(frame)
  }

  // ---- what the server says

  /** Reads the messages; streams go on from the seq that they carry. */
  read(): Promise<void> {
    this.reading ??= this.readOnce().finally(() => { this.reading = null })
    return this.reading
  }

  /** Only when something may have been missed since the last time. */
  freshen(): void {
    if (this.stale && this.id !== null) void this.read()
  }

  private async readOnce(): Promise<void> {
    if (this.id === null) return
    this.stale = false
    if (this.transcript.loading === 'failed') this.change({ ...this.transcript, loading: 'loading' })
    try {
      const page = await this.ports.load(this.id)
      this.gaps.clear()
      this.change(withSnapshot(this.transcript, page.results, page.next))
      this.watchAll()
      this.ports.settled(this)
    } catch (error) {
      this.stale = true
      if (error instanceof ApiError && error.status === 404) this.change({ ...EMPTY, loading: 'missing' })
      else if (this.transcript.entries.length === 0) this.change({ ...this.transcript, loading: 'failed' })
    }
  }

  async readOlder(): Promise<void> {
    const url = this.transcript.older
    if (!url) return
    const page = await this.ports.loadMore(url)
    if (this.transcript.older === url) this.change(withOlder(this.transcript, page.results, page.next))
  }

  /** The line is back: what was not accepted is said again (same client_id, so never twice), streams go on from their seq. */
  reconnected(): void {
    for (const request of this.requests.values()) this.ports.send(request.frame)
    const running = runningEntry(this.transcript)
    this.watchAll()
    if (running?.live) return
    this.stale = true
    if (this.watched && this.requests.size === 0) this.freshen()
  }

  private watchAll(): void {
    for (const entry of this.transcript.entries) {
      if (entry.live && isRunning(entry)) this.ports.send({ type: 'turn.watch', turn: entry.live.turn, after_seq: entry.live.seq })
    }
  }

  owns(frame: ServerFrame): boolean {
    if ('client_id' in frame && frame.client_id !== undefined) return this.requests.has(frame.client_id)
    if ('turn' in frame && frame.turn !== undefined && this.knows(frame.turn)) return true
    return 'conversation' in frame && typeof frame.conversation === 'string' && frame.conversation === this.id
  }

  receive(frame: ServerFrame): void {
    if (frame.type === 'turn.accepted') this.accepted(frame)
    else if (frame.type === 'turn.started') this.started(frame)
    else if (frame.type === 'turn.event') this.event(frame)
    else if (frame.type === 'error') this.refused(frame)
  }

  private accepted(frame: Frame<'turn.accepted'>): void {
    const request = this.requests.get(frame.client_id)
    if (!request) return
    this.requests.delete(frame.client_id)
    this.change({ ...this.transcript, entries: withAccepted(this.transcript.entries, request, frame) })
    if (request.frame.type === 'turn.start') this.ports.taken(this.id, request.frame.content)
    if (this.id === null) {
      this.id = frame.conversation
      this.stale = false
      this.ports.named(this, frame.conversation)
    }
    if (request.stop) this.ports.send({ type: 'turn.stop', turn: frame.turn })
    this.settleForeign(frame.turn)
    this.ports.settled(this)
  }

  /** Another tab has asked something here. While our own request is open it may be ours: then wait for the answer. */
  private started(frame: Frame<'turn.started'>): void {
    if (this.knows(frame.turn)) return
    if (this.requests.size > 0) this.foreign.add(frame.turn)
    else this.missed()
  }

  private settleForeign(own?: string): void {
    if (own) this.foreign.delete(own)
    if (this.requests.size > 0 || this.foreign.size === 0) return
    this.foreign.clear()
    this.missed()
  }

  private missed(): void {
    this.stale = true
    this.freshen() // also when nobody looks: the list's dot wants to know the end
  }

  private event(frame: Frame<'turn.event'>): void {
    const [next, outcome] = withEvent(this.transcript, frame.turn, frame.seq, frame.event, this.ports.now())
    if (outcome === 'applied') {
      this.gaps.delete(frame.turn)
      const last = frame.event.kind === 'finished' || frame.event.kind === 'failed'
      this.change(next, !last)
      if (last) this.ports.settled(this)
    } else if (outcome === 'gap' && !this.gaps.has(frame.turn)) {
      this.gaps.add(frame.turn) // ask once; the frames until the answer are all "too new"
      this.watchAll()
    } else if (outcome === 'unknown' && this.requests.size === 0 && !this.strangers.has(frame.turn)) {
      this.strangers.add(frame.turn) // of another branch, perhaps: one look is enough
      this.missed()
    }
  }

  private refused(frame: Frame<'error'>): void {
    const error: Failure = { code: frame.code, message: frame.message, extra: frame.extra }
    const request = frame.client_id === undefined ? undefined : this.requests.get(frame.client_id)
    if (request && frame.client_id !== undefined) {
      this.requests.delete(frame.client_id)
      this.change({ ...this.transcript, entries: withRefused(this.transcript.entries, request, error) })
      if (request.user === null) this.ports.refused(error)
      // What was to be replaced is shown again; and somebody else may be asking here.
      if (request.frame.type !== 'turn.start' || error.code === 'conversation_busy') void this.read()
      this.settleForeign()
    } else if (frame.turn !== undefined && this.knows(frame.turn)) {
      this.forgetTurn(frame.turn) // events_gone, or no longer there: the message is the truth
      this.stale = true
      this.freshen()
    }
  }

  private forgetTurn(turn: string): void {
    this.change({ ...this.transcript, entries: this.transcript.entries.map((entry) => (entry.live?.turn === turn ? { ...entry, live: null } : entry)) })
  }

  private knows(turn: string): boolean {
    return this.transcript.entries.some((entry) => entry.live?.turn === turn || entry.ended === turn)
  }

  // ---- telling the readers

  private change(next: Transcript, soon = false): void {
    this.transcript = next
    if (!soon) this.tell()
    else this.timer ??= setTimeout(() => this.tell(), TELL_MS)
  }

  private tell(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.told = this.transcript
    for (const listener of [...this.listeners]) listener()
  }
}
