import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Hit, HubName } from '../types'

vi.mock('../api/hub', () => ({ searchHub: () => Promise.resolve([]) }))
const { Search } = await import('./search')

const hit = (repo: string): Hit => ({ hub: 'modelscope', repo, name: repo, downloads: null, likes: null, license: null, tags: [], updated: null, parameters: null, size_bytes: null, model: null })

describe('a search', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => { vi.useRealTimers() })

  it('waits for the end of the typing and asks once', async () => {
    const ask = vi.fn((_hub: HubName, query: string) => Promise.resolve([hit(query)]))
    const search = new Search(ask)
    search.choose('modelscope')
    for (const text of ['q', 'qw', 'qwe', 'qwen ']) { search.type(text); await vi.advanceTimersByTimeAsync(100) }
    expect(search.found.get().state).toBe('waiting')
    await vi.advanceTimersByTimeAsync(400)
    expect(ask.mock.calls).toEqual([['modelscope', 'qwen']])
    expect(search.found.get()).toMatchObject({ state: 'ready', hits: [{ repo: 'qwen' }] })
  })

  it('is not answered for what stood there before', async () => {
    const answers: Record<string, (hits: Hit[]) => void> = {}
    const search = new Search((hub, query) => new Promise((answer) => { answers[`${hub} ${query}`] = answer }))
    search.choose('modelscope')
    search.type('old')
    search.now()
    await vi.advanceTimersByTimeAsync(0)
    search.choose('huggingface')
    await vi.advanceTimersByTimeAsync(0)
    answers['huggingface old']?.([hit('theirs')])
    answers['modelscope old']?.([hit('ours')])
    await vi.advanceTimersByTimeAsync(0)
    expect(search.found.get().hits.map((one) => one.repo)).toEqual(['theirs'])
  })

  it('keeps the fault of a hub that is away, and is empty again when the words are taken back', async () => {
    const search = new Search(() => Promise.reject(new Error('away')))
    search.choose('modelscope')
    search.type('qwen')
    await vi.advanceTimersByTimeAsync(400)
    expect(search.found.get().state).toBe('failed')
    search.type('')
    await vi.advanceTimersByTimeAsync(400)
    expect(search.found.get()).toMatchObject({ state: 'empty', error: null })
  })
})
