import { describe, expect, it } from 'vitest'
import type { Fit, FitDevice } from '@/shared/types/wire'
import { quantOf, weightsOf } from './choice'
import { bestDevice, toneInRoom } from './fit'

const file = (path: string, size: number, wanted = false) => ({ path, size, wanted, why: null })

describe('the weights of a repository', () => {
  it('are one choice per GGUF, its pieces together, smallest first', () => {
    const found = weightsOf([file('README.md', 1), file('m-Q8_0.gguf', 9), file('m-Q4_K_M-00002-of-00002.gguf', 2, true), file('m-Q4_K_M-00001-of-00002.gguf', 3, true), file('mmproj-m.gguf', 1)])
    expect(found.map((one) => [one.name, one.size, one.files.length, one.wanted])).toEqual([['m-Q4_K_M.gguf', 5, 2, true], ['m-Q8_0.gguf', 9, 1, false]])
  })

  it('are the safetensors or a GGUF where there are both', () => {
    const found = weightsOf([file('model.safetensors', 8, true), file('m-Q4_0.gguf', 2)])
    expect(found.map((one) => [one.name, one.files, one.wanted])).toEqual([['safetensors', [], true], ['m-Q4_0.gguf', ['m-Q4_0.gguf'], false]])
    expect(weightsOf([file('model.safetensors', 8, true)])).toEqual([])
  })

  it('tell their quantisation in their name', () => {
    expect(['smollm2-135m-instruct-q8_0.gguf', 'Qwen3-8B-Q4_K_M.gguf', 'x-IQ3_XXS.gguf', 'model.f16.gguf', 'plain.gguf'].map(quantOf)).toEqual(['Q8_0', 'Q4_K_M', 'IQ3_XXS', 'F16', null])
  })
})

describe('the fit', () => {
  const device = (name: string, verdict: FitDevice['verdict'], free: number): FitDevice => ({
    device: name, verdict, weights_bytes: 1, kv_bytes: 1, needed_bytes: 2, free_bytes: free, total_bytes: free, context: 8192, largest_context: 8192, evicts: [], overhead_bytes: 0, kv_bytes_per_token: 1, concurrency: 1, reasons: [],
  })

  it('is told for the device named best, else for the one that fits best', () => {
    const fit: Fit = { known: true, best: 'cuda:1', devices: [device('cpu', 'fits', 9), device('cuda:1', 'fits_after_eviction', 4)] }
    expect(bestDevice(fit)?.device).toBe('cuda:1')
    expect(bestDevice({ ...fit, best: null })?.device).toBe('cpu')
    expect(bestDevice({ ...fit, known: false })).toBeNull()
    expect(bestDevice(null)).toBeNull()
  })

  it('of a catalogue card is told by what is free now and what there is at all', () => {
    const room = { free_bytes: 4, total_bytes: 8 }
    expect([3, 6, 9].map((needed) => toneInRoom(needed, room))).toEqual(['good', 'close', 'bad'])
    expect(toneInRoom(null, room)).toBeNull()
    expect(toneInRoom(3, null)).toBeNull()
  })
})
