import { describe, expect, it } from 'vitest'
import type { Message, TurnEvent } from '@/shared/types/wire'
import { EMPTY, textOf, withEvent, withOlder, withSnapshot, type Transcript } from './transcript'

const message = (id: string, changes: Partial<Message> = {}): Message => ({
  id, parent: null, siblings: [id], role: 'assistant', status: 'done', parts: [], model: 'm', usage: null, created: '2026-01-01T00:00:00Z', turn: null, ...changes,
})
const text = (words: string): TurnEvent => ({ kind: 'text', text: words })
const running = (seq: number, words = ''): Transcript =>
  withSnapshot(EMPTY, [message('a', { status: 'streaming', turn: { id: 't', seq }, parts: words ? [{ type: 'text', text: words }] : [] })], null)
const play = (start: Transcript, ...events: [number, TurnEvent][]): Transcript => events.reduce((now, [seq, event]) => withEvent(now, 't', seq, event, 0)[0], start)
const shown = (transcript: Transcript): string => textOf(transcript.entries.at(-1)!.message)

describe('events of a turn', () => {
  it('join in order', () => {
    expect(shown(play(running(0), [1, text('Hel')], [2, text('lo')]))).toBe('Hello')
  })

  it('count once, however often they come', () => {
    const once = play(running(0), [1, text('Hel')], [2, text('lo')])
    const [again, outcome] = withEvent(once, 't', 2, text('lo'), 0)
    expect(outcome).toBe('duplicate')
    expect(again).toBe(once)
  })

  it('leave no hole: what comes too early changes nothing and is called a gap', () => {
    const start = play(running(0), [1, text('Hel')])
    const [same, outcome] = withEvent(start, 't', 3, text('!'), 0)
    expect(outcome).toBe('gap')
    expect(same).toBe(start)
    expect(shown(play(same, [2, text('lo')], [3, text('!')]))).toBe('Hello!')
  })

  it('go on from the seq of the snapshot', () => {
    expect(shown(play(running(7, 'Hello'), [7, text('lo')], [8, text(', you')]))).toBe('Hello, you')
  })

  it('belong to a turn that is here, or to none', () => {
    expect(withEvent(running(0), 'other', 1, text('x'), 0)[1]).toBe('unknown')
  })

  it('end with a status, a reason, and nothing live', () => {
    const entry = play(running(0), [1, text('x')], [2, { kind: 'finished', reason: 'interrupted' }]).entries[0]!
    expect(entry.message.status).toBe('interrupted')
    expect(entry.live).toBeNull()
    expect(withEvent({ ...EMPTY, entries: [entry] }, 't', 3, text('y'), 0)[1]).toBe('duplicate')
  })

  it('keep the words of a failure', () => {
    const entry = play(running(0), [1, { kind: 'failed', code: 'out_of_memory', message: 'No room.', retryable: true }]).entries[0]!
    expect(entry.message.status).toBe('failed')
    expect(entry.failure).toMatchObject({ code: 'out_of_memory', message: 'No room.' })
  })

  it('measure thinking from the first thought to the first word', () => {
    const thought = withEvent(running(0), 't', 1, { kind: 'reasoning', text: 'hm' }, 1_000)[0]
    expect(thought.entries[0]!.live?.thinkingSince).toBe(1_000)
    const spoken = withEvent(thought, 't', 2, text('so'), 13_000)[0]
    expect(spoken.entries[0]!.message.parts).toEqual([{ type: 'reasoning', text: 'hm', seconds: 12 }, { type: 'text', text: 'so' }])
    expect(spoken.entries[0]!.live?.thinkingSince).toBeNull()
  })

  it('do not call loading thinking', () => {
    const entry = play(running(0), [1, { kind: 'status', phase: 'loading', progress: 0.5 }]).entries[0]!
    expect(entry.live).toMatchObject({ phase: { phase: 'loading', progress: 0.5 }, thinkingSince: null })
  })
})

describe('a snapshot', () => {
  it('that is older than the stream does not take words back', () => {
    const ahead = play(running(0), [1, text('Hel')], [2, text('lo')])
    const after = withSnapshot(ahead, [message('a', { status: 'streaming', turn: { id: 't', seq: 1 }, parts: [{ type: 'text', text: 'Hel' }] })], null)
    expect(shown(after)).toBe('Hello')
    expect(after.entries[0]!.live?.seq).toBe(2)
  })

  it('that is newer wins, and the next event fits it', () => {
    const after = withSnapshot(play(running(0), [1, text('Hel')]), [message('a', { status: 'streaming', turn: { id: 't', seq: 5 }, parts: [{ type: 'text', text: 'Hello, yo' }] })], null)
    expect(shown(play(after, [5, text('yo')], [6, text('u')]))).toBe('Hello, you')
  })

  it('that was read before the end does not wake a finished turn', () => {
    const done = play(running(0), [1, text('Hi')], [2, { kind: 'finished', reason: 'stop' }])
    const after = withSnapshot(done, [message('a', { status: 'streaming', turn: { id: 't', seq: 1 }, parts: [{ type: 'text', text: 'Hi' }] })], null)
    expect(after.entries[0]!.message.status).toBe('done')
  })

  it('keeps the older messages that were loaded before', () => {
    const first = withSnapshot(EMPTY, [message('c'), message('d')], 'older-1')
    const all = withOlder(first, [message('a'), message('b')], null)
    const after = withSnapshot(all, [message('c'), message('d'), message('e')], 'older-1')
    expect(after.entries.map((entry) => entry.message.id)).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(after.older).toBeNull()
  })

  it('never shows a message twice when a page of older ones overlaps', () => {
    const after = withOlder(withSnapshot(EMPTY, [message('b')], 'x'), [message('a'), message('b')], null)
    expect(after.entries.map((entry) => entry.message.id)).toEqual(['a', 'b'])
  })
})
