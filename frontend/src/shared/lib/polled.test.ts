import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Polled } from './polled'

describe('a polled value', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => { vi.useRealTimers() })

  it('is asked for only while someone looks', async () => {
    const load = vi.fn((now: number) => Promise.resolve(now + 1))
    const value = new Polled(0, { load, wait: () => 1000 })
    await vi.advanceTimersByTimeAsync(5000)
    expect(load).not.toHaveBeenCalled()
    const told = vi.fn()
    const stop = value.subscribe(told)
    await vi.advanceTimersByTimeAsync(2500)
    expect(value.get()).toBe(3)
    expect(told).toHaveBeenCalledTimes(3)
    stop()
    await vi.advanceTimersByTimeAsync(5000)
    expect(load).toHaveBeenCalledTimes(3)
  })

  it('is never older than the last call for it', async () => {
    const answers: ((value: string) => void)[] = []
    const value = new Polled('', { load: () => new Promise((answer) => { answers.push(answer) }), wait: () => 1000 })
    const first = value.refresh()
    const second = value.refresh() // something was changed meanwhile
    answers[0]?.('before')
    await vi.advanceTimersByTimeAsync(0)
    answers[1]?.('after')
    await Promise.all([first, second])
    expect(value.get()).toBe('after')
    expect(answers).toHaveLength(2)
  })
})
