import { describe, expect, it, vi } from 'vitest'
import type { Download } from '../types'

vi.mock('@/shared/socket', () => ({ onFrame: () => () => undefined }))
vi.mock('../api/hub', () => ({}))
const { downloadOfRepo, ended, shownDownloads, withDownload } = await import('./downloads')

const one = (id: string, changes: Partial<Download> = {}): Download => ({
  id, hub: 'modelscope', repo: 'o/n', revision: 'c0ffee', state: 'running', bytes_done: 1, bytes_total: 4, progress: 0.25,
  speed: 1, seconds_left: 3, files: [], error: null, model: { id: `model of ${id}`, name: 'n' }, created: '2026-01-01T00:00:00Z', finished: null, ...changes,
})

describe('the downloads', () => {
  it('take what an answer says in its place, and a new one in front', () => {
    const now = { state: 'ready' as const, items: [one('a'), one('b')], asked: 0 }
    expect(withDownload(now, one('b', { state: 'paused' })).items.map((item) => item.state)).toEqual(['running', 'paused'])
    expect(withDownload(now, one('c')).items.map((item) => item.id)).toEqual(['c', 'a', 'b'])
  })

  it('know when one has come to its end, so that the models are asked for again', () => {
    expect(ended([one('a')], [one('a', { bytes_done: 2 })])).toBe(false)
    for (const state of ['done', 'failed', 'paused', 'cancelled'] as const) expect(ended([one('a')], [one('a', { state })])).toBe(true)
    expect(ended([one('a')], [])).toBe(true)
    expect(ended([one('a', { state: 'done' })], [])).toBe(false)
  })

  it('belong to their repository unless called off', () => {
    const now = { state: 'ready' as const, items: [one('x', { state: 'cancelled' }), one('a', { state: 'done' })], asked: 0 }
    expect(downloadOfRepo(now, 'modelscope', 'o/n')?.id).toBe('a')
    expect(downloadOfRepo(now, 'huggingface', 'o/n')).toBeNull()
  })

  it('are in sight while open and for half an hour after their end', () => {
    const asked = Date.parse('2026-01-01T12:00:00Z')
    const items = [one('moves'), one('failed', { state: 'failed' }), one('off', { state: 'cancelled' }),
      one('new', { state: 'done', finished: '2026-01-01T11:50:00Z' }), one('old', { state: 'done', finished: '2026-01-01T11:00:00Z' })]
    expect(shownDownloads({ state: 'ready', items, asked }).map((item) => item.id)).toEqual(['moves', 'failed', 'new'])
  })
})
