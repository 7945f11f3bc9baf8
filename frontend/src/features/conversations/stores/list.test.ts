import { describe, expect, it } from 'vitest'
import type { Conversation, ServerFrame } from '@/shared/types/wire'
import { grouped } from './group'
import { isRunningIn, NOTHING, visible, withConversation, withFrame, withMore, withPage, type List } from './list'

const item = (id: string, changes: Partial<Conversation> = {}): Conversation => ({ id, title: id, updated: '2026-01-01T00:00:00Z', ...changes })
const list = (...items: Conversation[]): List => ({ ...NOTHING, state: 'ready', items })
const ids = (value: List): string[] => value.items.map((each) => each.id)
const event = (kind: 'finished' | 'text'): ServerFrame => ({
  type: 'turn.event', turn: 't', conversation: 'b', seq: 3, event: kind === 'finished' ? { kind, reason: 'stop' } : { kind, text: 'x' },
})

describe('the list', () => {
  it('takes the newest page and keeps what was loaded below it', () => {
    const before = { ...list(item('a'), item('b'), item('c'), item('d')), next: 'page-3' }
    const after = withPage(before, { results: [item('new'), item('a'), item('b')], next: 'page-2' })
    expect(ids(after)).toEqual(['new', 'a', 'b', 'c', 'd'])
    expect(after.next).toBe('page-3')
  })

  it('drops what the server no longer has', () => {
    expect(ids(withPage(list(item('a'), item('gone'), item('b')), { results: [item('a'), item('b')], next: null }))).toEqual(['a', 'b'])
  })

  it('shows nothing twice', () => {
    expect(ids(withMore(list(item('a'), item('b')), { results: [item('b'), item('c')], next: null }))).toEqual(['a', 'b', 'c'])
  })

  it('lets a conversation that writes come up, with a living dot until it ends', () => {
    const writing = withFrame(list(item('a'), item('b')), { type: 'turn.started', turn: 't', conversation: 'b', assistant_message: 'm' }, '2026-02-01T00:00:00Z').list
    expect(ids(writing)).toEqual(['b', 'a'])
    expect(isRunningIn(writing, writing.items[0]!)).toBe(true)
    expect(withFrame(writing, event('text'), '').list).toBe(writing)
    expect(isRunningIn(withFrame(list(item('b')), event('text'), '').list, item('b'))).toBe(true)
    const ended = withFrame(writing, event('finished'), '').list
    expect(isRunningIn(ended, ended.items[0]!)).toBe(false)
    const late = withFrame(ended, { type: 'turn.started', turn: 't', conversation: 'b', assistant_message: 'm' }, '').list
    expect(isRunningIn(late, late.items[0]!)).toBe(false)
  })

  it('says which conversation it does not know yet', () => {
    expect(withFrame(list(item('a')), { type: 'turn.started', turn: 't', conversation: 'x', assistant_message: 'm' }, '').unknown).toBe('x')
  })

  it('takes a new title, and lets go of what was deleted elsewhere', () => {
    expect(withConversation(list(item('a')), { id: 'a', title: 'New' }).items[0]).toMatchObject({ title: 'New', updated: '2026-01-01T00:00:00Z' })
    expect(ids(withConversation(list(item('a')), { id: 'a', title: '', deleted: true }))).toEqual([])
  })

  it('hides what waits for its undo', () => {
    expect(visible({ ...list(item('a'), item('b')), hidden: ['a'] }).map((each) => each.id)).toEqual(['b'])
  })
})

describe('the groups', () => {
  const now = new Date(2026, 0, 14, 12) // a Wednesday
  const on = (day: number, month = 0): string => new Date(2026, month, day, 9).toISOString()

  it('follow the calendar, newest first', () => {
    const groups = grouped([item('monday', { updated: on(12) }), item('sunday', { updated: on(11) }), item('today', { updated: on(14) }), item('yesterday', { updated: on(13) }), item('pinned', { updated: on(1), pinned: true })], now)
    expect(groups.map((group) => [group.name, group.items.map((each) => each.id)])).toEqual([
      ['pinned', ['pinned']], ['today', ['today']], ['yesterday', ['yesterday']], ['week', ['monday']], ['older', ['sunday']],
    ])
  })
})
