import { describe, expect, it } from 'vitest'
import type { FitDevice } from '@/shared/types/wire'
import { barOf, fitPath, sorted } from './fit'

const device = (changes: Partial<FitDevice> = {}): FitDevice => ({
  device: 'cpu', weights_bytes: 40, kv_bytes: 10, kv_bytes_per_token: 1, overhead_bytes: 5, needed_bytes: 55, free_bytes: 60, total_bytes: 100,
  context: 10, concurrency: 1, largest_context: null, verdict: 'fits', evicts: [], reasons: [], ...changes,
})

describe('the fit', () => {
  it('is a bar of what is used and what it would take', () => {
    const bar = barOf(device())
    expect(bar.pieces.map(({ piece, share }) => [piece, share])).toEqual([['used', 0.4], ['weights', 0.4], ['kv', 0.1], ['overhead', 0.05]])
    expect(bar).toMatchObject({ over: false, limit: 1 })
  })

  it('goes over the end of a device that is too small, and shows where that is', () => {
    const bar = barOf(device({ weights_bytes: 185, needed_bytes: 200 }))
    expect(bar.over).toBe(true)
    expect(bar.limit).toBeCloseTo(100 / 240)
    expect(bar.pieces.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1)
  })

  it('begins with the device that it would go to', () => {
    expect(sorted({ devices: [device(), device({ device: 'cuda:0' })], best: 'cuda:0', known: true }).map((one) => one.device)).toEqual(['cuda:0', 'cpu'])
  })

  it('asks only about what is named', () => {
    expect(fitPath('a b')).toBe('/api/models/a%20b/fit/')
    expect(fitPath('a', 8192, null)).toBe('/api/models/a/fit/?context=8192')
    expect(fitPath('a', 8192, 4)).toBe('/api/models/a/fit/?context=8192&concurrency=4')
  })
})
