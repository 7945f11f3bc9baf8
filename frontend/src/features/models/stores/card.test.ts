import { describe, expect, it } from 'vitest'
import type { Model, ModelDownload } from '@/shared/types/wire'
import { isRaw, memoryBar, primaryOf, progressOf, repoOf, scaleOf } from './card'

const model = (changes: Partial<Model> = {}): Model => ({ id: 'a', name: 'A', state: 'stopped', ...changes })
const hub = { kind: 'hub', hub: 'modelscope', repo: 'Qwen/Qwen3-0.6B' }
const download = (state: ModelDownload['state'], done = 0, total = 100): ModelDownload => ({ id: 'd', state, bytes_done: done, bytes_total: total, speed: 0, seconds_left: null })

describe('the one thing to do with a model', () => {
  it('follows its state', () => {
    const by = (state: Model['state']) => primaryOf(model({ state }), true)
    expect([by('stopped'), by('failed'), by('queued'), by('loading'), by('ready'), by('draining')]).toEqual(['load', 'again', 'cancel', 'cancel', 'unload', 'draining'])
  })

  it('is its download while its files are not here', () => {
    expect(primaryOf(model({ state: 'downloading', download: download('running') }), true)).toBe('pause')
    expect(primaryOf(model({ state: 'absent', download: download('paused') }), true)).toBe('resume')
    expect(primaryOf(model({ state: 'absent', download: download('failed') }), true)).toBe('resume')
    expect(primaryOf(model({ state: 'absent', source: hub }), true)).toBe('download')
    expect(primaryOf(model({ state: 'absent', source: { kind: 'folder', path: '/gone' } }), true)).toBeNull()
  })

  it('is a question for who may not change models', () => {
    for (const state of ['stopped', 'failed', 'ready', 'draining'] as const) expect(primaryOf(model({ state }), false)).toBe('ask')
    expect(primaryOf(model({ state: 'absent' }), false)).toBeNull()
    expect(primaryOf(model({ enabled: false }), false)).toBeNull()
  })
})

describe('what a card shows', () => {
  it('names the repository to fetch again, with its revision where one was asked for', () => {
    expect(repoOf(model({ source: { ...hub, path: '/somewhere' } }))).toEqual({ hub: 'modelscope', repo: 'Qwen/Qwen3-0.6B' })
    expect(repoOf(model({ source: { ...hub, revision: 'v1' } }))?.revision).toBe('v1')
    expect(repoOf(model())).toBeNull()
  })

  it('counts progress by bytes where they are known', () => {
    expect(progressOf(model({ state: 'downloading', progress: 0.1, download: download('running', 30) }))).toBe(0.3)
    expect(progressOf(model({ state: 'downloading', progress: 0.1 }))).toBe(0.1)
    expect(progressOf(model({ state: 'loading', progress: 0.6 }))).toBe(0.6)
    expect(progressOf(model({ state: 'ready', progress: 1 }))).toBeNull()
    expect(progressOf(model({ state: 'absent', download: download('queued', 0, 0) }))).toBeNull()
  })

  it('draws memory at one scale: measured as filled, predicted as a mark', () => {
    const big = model({ state: 'ready', measured_bytes: 800, predicted_bytes: 1000 })
    const small = model({ state: 'ready', memory_bytes: 100 })
    const scale = scaleOf([big, small])
    expect(memoryBar(big, scale)).toEqual({ measured: 800, counted: null, predicted: 1000, returned: null, filled: 0.8, mark: 1 })
    expect(memoryBar(small, scale)).toMatchObject({ measured: null, counted: 100, filled: 0.1, mark: null })
  })

  it('tells what came back only once it is out of memory, and nothing where nothing is known', () => {
    expect(memoryBar(model({ state: 'stopped', measured_bytes: 5, returned_bytes: 90, predicted_bytes: 100 }), 100)).toEqual({ measured: null, counted: null, predicted: 100, returned: 90, filled: 0, mark: 1 })
    expect(memoryBar(model({ state: 'ready', measured_bytes: 50, returned_bytes: 90 }), 100)?.returned).toBeNull()
    expect(memoryBar(model({ memory_bytes: 0 }), 0)).toBeNull()
  })

  it('tells a sentence from an exception', () => {
    expect(isRaw('OSError: [Errno 28] No space left on device')).toBe(true)
    expect(isRaw('torch.OutOfMemoryError: CUDA out of memory')).toBe(true)
    expect(isRaw('There is no device cuda:3.')).toBe(false)
  })
})
