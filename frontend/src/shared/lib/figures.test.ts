import { describe, expect, it } from 'vitest'
import { compact, contextOf, duration, parametersOf } from './figures'

describe('figures as people say them', () => {
  it('name a model by its parameters', () => {
    expect([135e6, 494e6, 600e6, 1.7e9, 7.6e9, 32.8e9, 671e9].map(parametersOf)).toEqual(['135M', '494M', '0.6B', '1.7B', '7.6B', '33B', '671B'])
  })

  it('name a context in thousands, of either kind', () => {
    expect([512, 8192, 32768, 40960, 131072, 1048576, 100000].map(contextOf)).toEqual(['512', '8k', '32k', '40k', '128k', '1M', '100k'])
  })

  it('count in the language of the reader', () => {
    expect(compact(1_234_567, 'en')).toBe('1.2M')
    expect(compact(1_234_567, 'zh')).toBe('123.5万')
  })

  it('tell a time that is left', () => {
    expect([0.2, 40, 61, 3900, 200_000].map((seconds) => duration(seconds, 'en'))).toEqual(['1 sec', '40 sec', '2 min', '1 hr 5 min', '2 days'])
    expect(duration(3900, 'zh')).toBe('1小时5分钟')
  })
})
