import { describe, expect, it } from 'vitest'
import { en } from '@/shared/i18n/en'
import type { Message, Model } from '@/shared/types/wire'
import { modelBefore, reasonOf, remediesFor } from './failures'
import { draftMessage, entryOf } from './transcript'

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

  it('says why a model could not be loaded, in a sentence and never as an exception', () => {
    expect(words('load_failed', 'There is no device cuda:3.')).toMatch(/could not be loaded.*There is no device cuda:3\./)
    for (const raw of ['OSError: [Errno 28] No space left.', 'torch.OutOfMemoryError: it is full.', '']) expect(words('load_failed', raw)).not.toMatch(/Error|Errno/)
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

describe('the model before a failed one', () => {
  const models: Model[] = [{ id: 'old', name: 'Old', state: 'ready' }, { id: 'new', name: 'New', state: 'failed' }]
  const answer = (id: string, model: string, status: Message['status']) => entryOf(draftMessage(id, 'assistant', null, status, 'words', model))

  it('is the one that answered last, by id or name', () => {
    const failed = answer('3', 'new', 'failed')
    expect(modelBefore([answer('1', 'Old', 'done'), answer('2', 'new', 'failed'), failed], failed, models)?.id).toBe('old')
  })

  it('is nobody in a new conversation, or where it is no longer to be had', () => {
    const failed = answer('2', 'new', 'failed')
    expect(modelBefore([failed], failed, models)).toBeNull()
    expect(modelBefore([answer('1', 'gone', 'done'), failed], failed, models)).toBeNull()
    expect(modelBefore([answer('1', 'new', 'done'), failed], failed, models)).toBeNull()
  })

  it('comes first among what helps, where there is one', () => {
    expect(remediesFor(failure('load_failed'), { ...ALL, back: true })[0]).toBe('back')
    expect(remediesFor(failure('load_failed'), ALL)[0]).toBe('choose')
  })
})
