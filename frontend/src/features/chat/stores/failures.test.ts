import { describe, expect, it } from 'vitest'
import { en } from '@/shared/i18n/en'
import { reasonOf, remediesFor } from './failures'

const words = (code: string, message = '', extra?: Record<string, unknown>) => reasonOf({ code, message, extra }, (key, params) => en[key].replace(/\{(\w+)\}/g, (_, name: string) => String(params?.[name])))
const failure = (code: string) => ({ code, message: '' })
const ALL = { others: true, shorten: true }

describe('a failure', () => {
  it('has words for what happened, and the server\'s own where the page knows none', () => {
    for (const code of ['context_too_long', 'out_of_memory', 'engine_died', 'busy', 'unavailable', 'load_failed', 'model_not_found', 'no_model', 'conversation_busy']) {
      expect(words(code, 'raw words')).not.toMatch(/raw words|\(/)
    }
    expect(words('context_too_long', '', { tokens: 9120, limit: 8192 })).toMatch('9120 of 8192')
    expect(words('strange', 'Told by the server.')).toBe('Told by the server.')
    expect(words('strange')).toMatch('strange')
  })

  it('comes with what helps, the best first', () => {
    expect(remediesFor(failure('context_too_long'), ALL)[0]).toBe('shorten')
    expect(remediesFor(failure('model_not_found'), ALL)[0]).toBe('choose')
    expect(remediesFor(failure('unavailable'), ALL)).toEqual(['retry'])
    expect(remediesFor(null, ALL)[0]).toBe('retry')
  })

  it('never offers what cannot be done, and never nothing', () => {
    expect(remediesFor(failure('out_of_memory'), { others: false, shorten: false })).toEqual(['retry'])
    expect(remediesFor(failure('context_too_long'), { others: false, shorten: false })).toEqual(['models'])
  })
})
