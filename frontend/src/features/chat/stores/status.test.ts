import { beforeAll, describe, expect, it, vi } from 'vitest'
import type { Phase } from '@/shared/types/wire'
import type { Entry } from './transcript'

// The two dictionaries are read through the page's own translator, which asks the browser for its language.
vi.stubGlobal('navigator', { languages: ['en'] })
vi.stubGlobal('window', { matchMedia: () => ({ matches: false, addEventListener: () => undefined }) })

let line: (changes: Partial<Entry>, phase?: Phase, lang?: 'en' | 'zh') => string | undefined
beforeAll(async () => {
  const { translator } = await import('@/shared/i18n')
  const { statusLine } = await import('./status')
  const { draftMessage } = await import('./transcript')
  line = (changes, phase, lang = 'en') => {
    const live = phase ? { turn: 't', seq: 1, phase, thinkingSince: null } : null
    const entry: Entry = { key: 'k', message: draftMessage('a', 'assistant', null, phase ? 'streaming' : 'done', '', null), live, ended: null, reason: null, failure: null, delivery: null, ...changes }
    return statusLine(entry, translator(lang), { model: 'Qwen3-0.6B', connected: true, now: 12_000 })?.text
  }
})

describe('the status line', () => {
  it('says in words what is true now', () => {
    expect(line({}, { phase: 'queued', position: 3 })).toBe('Waiting, 3rd in line')
    expect(line({}, { phase: 'evicting', models: ['Qwen3-8B'] })).toBe('Freeing memory: unloading Qwen3-8B')
    expect(line({}, { phase: 'loading', progress: 0.63 })).toBe('Loading Qwen3-0.6B, 63 %')
    expect(line({}, { phase: 'prefill', done: 2100, total: 3950, reused: 1850 })).toBe('Reading your message, 2,100 of 3,950 tokens (1,850 reused)')
    expect(line({}, { phase: 'resuming' })).toBe('Resuming after a restart')
    expect(line({}, { phase: 'loading', progress: 0.63 }, 'zh')).toBe('正在加载 Qwen3-0.6B，63%')
  })

  it('speaks of thinking only when the model thinks', () => {
    for (const phase of ['queued', 'evicting', 'loading', 'prefill', 'resuming'] as const) expect(line({}, { phase } as Phase)).not.toMatch(/think/i)
    expect(line({ live: { turn: 't', seq: 1, phase: { phase: 'generating' }, thinkingSince: 0 } }, { phase: 'generating' })).toBe('Thinking, 12 s')
    expect(line({ live: { turn: 't', seq: 1, phase: { phase: 'resuming' }, thinkingSince: 0 } }, { phase: 'resuming' })).toBe('Resuming after a restart')
  })

  it('has a word for every end', () => {
    const ended = (status: Entry['message']['status']) => line({ message: { id: 'a', parent: null, siblings: [], role: 'assistant', status, parts: [{ type: 'text', text: 'x' }], model: null, usage: null, created: '', turn: null } })
    expect(ended('done')).toBeUndefined()
    expect(ended('stopped')).toBe('Stopped by you')
    expect(ended('interrupted')).toMatch(/^Interrupted/)
    expect(ended('failed')).toMatch(/^Failed: /)
    expect(line({})).toBe('The model ended without writing anything.')
  })
})
