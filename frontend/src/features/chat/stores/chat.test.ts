import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ApiError } from '@/shared/api/errors'
import type { ClientFrame, Message, Page, ServerFrame } from '@/shared/types/wire'
import { Chat, TELL_MS, type ChatPorts } from './chat'
import { textOf } from './transcript'

const message = (id: string, changes: Partial<Message> = {}): Message => ({
  id, parent: null, siblings: [id], role: 'assistant', status: 'done', parts: [], model: 'm', usage: null, created: '2026-01-01T00:00:00Z', turn: null, ...changes,
})
const page = (...results: Message[]): Page<Message> => ({ results, next: null })
const text = (seq: number, words: string, turn = 't'): ServerFrame => ({ type: 'turn.event', turn, conversation: 'c', seq, event: { kind: 'text', text: words } })
const finished = (seq: number): ServerFrame => ({ type: 'turn.event', turn: 't', conversation: 'c', seq, event: { kind: 'finished', reason: 'stop' } })

let sent: ClientFrame[]
let online: boolean
let stored: () => Promise<Page<Message>>
let ports: ChatPorts

beforeEach(() => {
  vi.useFakeTimers()
  sent = []
  online = true
  stored = () => Promise.resolve(page())
  ports = {
    send: (frame) => { if (online) sent.push(frame); return online },
    load: () => stored(), loadMore: () => stored(), show: () => Promise.resolve(),
    named: vi.fn<ChatPorts['named']>(), refused: vi.fn<ChatPorts['refused']>(), taken: vi.fn<ChatPorts['taken']>(), settled: () => undefined, now: () => 0,
  }
})
afterEach(() => { vi.useRealTimers() })

const settle = () => vi.advanceTimersByTimeAsync(TELL_MS)
const words = (chat: Chat) => chat.get().entries.map((entry) => textOf(entry.message))
const started = () => sent.find((frame) => frame.type === 'turn.start') as Extract<ClientFrame, { type: 'turn.start' }>
const accept = (chat: Chat, client_id = started().client_id) =>
  chat.receive({ type: 'turn.accepted', client_id, turn: 't', conversation: 'c', user_message: 'u1', assistant_message: 'a1' })

describe('asking', () => {
  it('shows the question at once and keeps its place when the server names it', async () => {
    const chat = new Chat(null, ports)
    chat.ask('Hello?', 'm')
    expect(words(chat)).toEqual(['Hello?', ''])
    const keys = chat.get().entries.map((entry) => entry.key)
    accept(chat)
    chat.receive(text(1, 'Hi'))
    await settle()
    expect(words(chat)).toEqual(['Hello?', 'Hi'])
    expect(chat.get().entries.map((entry) => entry.key)).toEqual(keys)
    expect(chat.get().entries.map((entry) => entry.message.id)).toEqual(['u1', 'a1'])
    expect(chat.id).toBe('c')
    expect(ports.named).toHaveBeenCalledWith(chat, 'c')
    expect(ports.taken).toHaveBeenCalledWith(null, 'Hello?')
  })

  it('while the line is down is said when it is back, with the same client_id, and once only after the answer', () => {
    const chat = new Chat('c', ports)
    online = false
    chat.ask('Hello?', undefined)
    expect(sent).toEqual([])
    online = true
    chat.reconnected()
    chat.reconnected()
    const ids = sent.filter((frame) => frame.type === 'turn.start').map((frame) => frame.client_id)
    expect(ids).toHaveLength(2)
    expect(new Set(ids).size).toBe(1)
    accept(chat)
    sent = []
    chat.reconnected()
    expect(sent).toEqual([{ type: 'turn.watch', turn: 't', after_seq: 0 }])
  })

  it('refused says why at the question, and can be said again', () => {
    const chat = new Chat('c', ports)
    chat.ask('Hello?', undefined)
    chat.receive({ type: 'error', client_id: started().client_id, code: 'no_model', message: 'No model.' })
    const entry = chat.get().entries[0]!
    expect(chat.get().entries).toHaveLength(1)
    expect(entry.delivery).toMatchObject({ state: 'unsent', error: { code: 'no_model' } })
    chat.resend(entry.key, undefined)
    expect(sent.filter((frame) => frame.type === 'turn.start')).toHaveLength(2)
    expect(words(chat)).toEqual(['Hello?', ''])
  })

  it('stopped before it has a turn is stopped when it gets one', () => {
    const chat = new Chat('c', ports)
    chat.ask('Hello?', undefined)
    chat.stop()
    expect(sent.some((frame) => frame.type === 'turn.stop')).toBe(false)
    accept(chat)
    expect(sent.at(-1)).toEqual({ type: 'turn.stop', turn: 't' })
  })

  it('shows nothing twice when a snapshot is faster than the answer', async () => {
    const chat = new Chat('c', ports)
    chat.ask('Hello?', undefined)
    stored = () => Promise.resolve(page(message('u1', { role: 'user', parts: [{ type: 'text', text: 'Hello?' }] }), message('a1', { status: 'queued', turn: { id: 't', seq: 0 } })))
    await chat.read()
    accept(chat)
    expect(words(chat)).toEqual(['Hello?', ''])
    chat.receive(text(1, 'Hi'))
    await settle()
    expect(words(chat)).toEqual(['Hello?', 'Hi'])
  })
})

describe('a stream', () => {
  const begun = async (): Promise<Chat> => {
    const chat = new Chat('c', ports)
    chat.ask('Hello?', undefined)
    accept(chat)
    sent = []
    return chat
  }

  it('tells its readers at most once in 50 ms, and at once when it ends', async () => {
    const chat = await begun()
    let told = 0
    chat.subscribe(() => { told += 1 })
    for (let seq = 1; seq <= 20; seq += 1) chat.receive(text(seq, 'x'))
    expect(told).toBe(0)
    await settle()
    expect(told).toBe(1)
    chat.receive(finished(21))
    expect(told).toBe(2)
    expect(words(chat)[1]).toBe('x'.repeat(20))
  })

  it('watches again from the last seq after a hole, once, and ends up whole', async () => {
    const chat = await begun()
    chat.receive(text(1, 'a'))
    chat.receive(text(3, 'c'))
    chat.receive(text(4, 'd'))
    expect(sent).toEqual([{ type: 'turn.watch', turn: 't', after_seq: 1 }])
    for (const [seq, letter] of [[2, 'b'], [3, 'c'], [4, 'd']] as const) chat.receive(text(seq, letter))
    await settle()
    expect(words(chat)[1]).toBe('abcd')
  })

  it('cut in the middle goes on from its seq, with no hole and nothing double', async () => {
    const chat = await begun()
    chat.receive(text(1, 'a'))
    chat.receive(text(2, 'b'))
    chat.reconnected()
    expect(sent).toEqual([{ type: 'turn.watch', turn: 't', after_seq: 2 }])
    chat.receive(text(2, 'b'))
    chat.receive(text(3, 'c'))
    chat.receive(finished(4))
    expect(words(chat)[1]).toBe('abc')
  })

  it('whose events are gone reads the message', async () => {
    const chat = await begun()
    chat.receive(text(1, 'a'))
    stored = () => Promise.resolve(page(message('u1', { role: 'user' }), message('a1', { parts: [{ type: 'text', text: 'all of it' }] })))
    chat.receive({ type: 'error', turn: 't', code: 'events_gone', message: '' })
    await settle()
    expect(words(chat)[1]).toBe('all of it')
    expect(chat.get().entries[1]!.message.status).toBe('done')
  })

  it('goes on after a reload from what the message holds', async () => {
    stored = () => Promise.resolve(page(message('u1', { role: 'user' }), message('a1', { status: 'streaming', turn: { id: 't', seq: 9 }, parts: [{ type: 'text', text: 'so far' }] })))
    const chat = new Chat('c', ports)
    await chat.read()
    expect(sent).toEqual([{ type: 'turn.watch', turn: 't', after_seq: 9 }])
    chat.receive(text(10, ', so good'))
    await settle()
    expect(words(chat)[1]).toBe('so far, so good')
  })
})

describe('another tab', () => {
  it('that asks here is read and watched', async () => {
    const chat = new Chat('c', ports)
    await chat.read()
    chat.subscribe(() => undefined)
    stored = () => Promise.resolve(page(message('u2', { role: 'user' }), message('a2', { status: 'queued', turn: { id: 't2', seq: 0 } })))
    chat.receive({ type: 'turn.started', turn: 't2', conversation: 'c', assistant_message: 'a2' })
    await settle()
    expect(sent).toEqual([{ type: 'turn.watch', turn: 't2', after_seq: 0 }])
  })

  it('is not mistaken for our own turn that starts before it is accepted', () => {
    const load = vi.fn(() => Promise.resolve(page()))
    ports.load = load
    const chat = new Chat('c', ports)
    chat.subscribe(() => undefined)
    chat.ask('Hello?', undefined)
    chat.receive({ type: 'turn.started', turn: 't', conversation: 'c', assistant_message: 'a1' })
    accept(chat)
    expect(load).not.toHaveBeenCalled()
  })
})

describe('answering again', () => {
  it('takes the place of the old answer', () => {
    const chat = new Chat('c', ports, [message('u1', { role: 'user' }), message('a1'), message('u2', { role: 'user' }), message('a2')])
    chat.retry('a1', 'other')
    expect(sent).toMatchObject([{ type: 'turn.retry', message: 'a1', model: 'other' }])
    expect(chat.get().entries.map((entry) => entry.message.role)).toEqual(['user', 'assistant'])
    const { client_id } = sent.at(-1) as { client_id: string }
    chat.receive({ type: 'turn.accepted', client_id, turn: 't', conversation: 'c', user_message: 'u1', assistant_message: 'a9' })
    expect(chat.get().entries.at(-1)!.message.siblings).toEqual(['a1', 'a9'])
  })

  it('refused brings the old answer back and says why', async () => {
    stored = () => Promise.resolve(page(message('u1', { role: 'user' }), message('a1', { parts: [{ type: 'text', text: 'old' }] })))
    const chat = new Chat('c', ports)
    await chat.read()
    chat.retry('a1')
    const { client_id } = sent.at(-1) as { client_id: string }
    chat.receive({ type: 'error', client_id, code: 'busy', message: 'Busy.' })
    await settle()
    expect(words(chat)).toEqual(['', 'old'])
    expect(ports.refused).toHaveBeenCalledOnce()
  })
})

describe('editing a question', () => {
  const kept = () => [message('u1', { role: 'user' }), message('a1'), message('u2', { role: 'user', parent: 'a1', siblings: ['u0', 'u2'] }), message('a2')]
  const requested = () => sent.at(-1) as { client_id: string }

  it('puts the new words in its place, as one more version', () => {
    const chat = new Chat('c', ports, kept())
    chat.edit('u2', 'better')
    expect(sent).toMatchObject([{ type: 'turn.edit', message: 'u2', content: 'better' }])
    expect(words(chat)).toEqual(['', '', 'better', ''])
    chat.receive({ type: 'turn.accepted', client_id: requested().client_id, turn: 't', conversation: 'c', user_message: 'u9', assistant_message: 'a9' })
    expect(chat.get().entries.map((entry) => entry.message.id)).toEqual(['u1', 'a1', 'u9', 'a9'])
    expect(chat.get().entries[2]!.message.siblings).toEqual(['u0', 'u2', 'u9'])
    expect(chat.get().entries[3]!.message.parent).toBe('u9')
  })

  it('leaves nothing of the old branch when a snapshot brought it back before the answer', async () => {
    stored = () => Promise.resolve(page(...kept()))
    const chat = new Chat('c', ports, kept())
    chat.edit('u2', 'better')
    const { client_id } = requested()
    await chat.read()
    chat.receive({ type: 'turn.accepted', client_id, turn: 't', conversation: 'c', user_message: 'u9', assistant_message: 'a9' })
    expect(chat.get().entries.map((entry) => entry.message.id)).toEqual(['u1', 'a1', 'u9', 'a9'])
  })

  it('refused keeps the new words beside the old branch, to be said again', async () => {
    stored = () => Promise.resolve(page(...kept()))
    const chat = new Chat('c', ports, kept())
    chat.edit('u2', 'better')
    chat.receive({ type: 'error', client_id: requested().client_id, code: 'conversation_busy', message: 'Busy.' })
    await settle()
    expect(words(chat)).toEqual(['', '', '', '', 'better'])
    chat.resend(chat.get().entries.at(-1)!.key, undefined)
    expect(sent.at(-1)).toMatchObject({ type: 'turn.edit', message: 'u2', content: 'better' })
    expect(words(chat)).toEqual(['', '', 'better', ''])
  })
})

describe('going on', () => {
  it('adds to the same answer', async () => {
    const chat = new Chat('c', ports, [message('u1', { role: 'user' }), message('a1', { status: 'interrupted', parts: [{ type: 'text', text: 'half' }] })])
    chat.goOn('a1')
    const frame = sent.at(-1) as Extract<ClientFrame, { type: 'turn.continue' }>
    expect(frame).toMatchObject({ type: 'turn.continue', message: 'a1' })
    chat.receive({ type: 'turn.accepted', client_id: frame.client_id, turn: 't', conversation: 'c', user_message: 'u1', assistant_message: 'a1' })
    chat.receive(text(1, ' and whole'))
    chat.receive(finished(2))
    expect(words(chat)).toEqual(['', 'half and whole'])
    expect(chat.get().entries[1]!.message.status).toBe('done')
  })
})

describe('reading', () => {
  it('says that a conversation is not there', async () => {
    stored = () => Promise.reject(new ApiError(404, 'not_found', ''))
    const chat = new Chat('c', ports)
    await chat.read()
    expect(chat.get().loading).toBe('missing')
  })

  it('keeps what the browser remembered when nobody answers', async () => {
    stored = () => Promise.reject(new ApiError(0, 'network', ''))
    const chat = new Chat('c', ports, [message('a1', { parts: [{ type: 'text', text: 'kept' }] })])
    await chat.read()
    expect(words(chat)).toEqual(['kept'])
  })
})
