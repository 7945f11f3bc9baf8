import { describe, expect, it } from 'vitest'
import type { Model } from '@/shared/types/wire'
import { effectOf, enginesOf, fieldsOf, refusedFields, settingsFrom, valuesOf } from './settings'

const model = (changes: Partial<Model> = {}): Model => ({ id: 'a', name: 'A', state: 'stopped', engine: 'transformers', settings: {}, ...changes })

describe('the settings of an engine', () => {
  it('come into fields and go back as they were, with what has no field', () => {
    const settings = { context_length: 8192, dtype: 'int8', threads: 4, packed: false }
    const values = valuesOf(model({ settings }))
    expect(values.fields).toEqual({ context_length: 8192, dtype: 'int8' })
    expect(JSON.parse(values.rest)).toEqual({ threads: 4, packed: false })
    expect(settingsFrom(values)).toEqual(settings)
  })

  it('leave an empty field to the engine', () => {
    const values = valuesOf(model({ settings: { slots: 4 } }))
    expect(settingsFrom({ ...values, fields: { slots: null, dtype: '' } })).toEqual({})
  })

  it('send no field of another engine', () => {
    expect(settingsFrom({ engine: 'openai', fields: { dtype: 'int8', slots: 2 }, rest: '' })).toEqual({ slots: 2 })
  })

  it('refuse a rest that is no object', () => {
    for (const rest of ['[1]', '7', 'null', '{"a":']) expect(() => settingsFrom({ engine: 'echo', fields: {}, rest })).toThrow(SyntaxError)
  })

  it('say what a change does', () => {
    const ready = model({ state: 'ready', settings: { slots: 2 } })
    expect(effectOf(ready, 'transformers', { slots: 2 })).toBe('nothing')
    expect(effectOf(ready, 'transformers', { slots: 2, keep_alive: 60 })).toBe('atOnce')
    expect(effectOf(ready, 'transformers', {})).toBe('reload')
    expect(effectOf(ready, 'vllm', { slots: 2 })).toBe('reload')
    expect(effectOf(model({ settings: { slots: 2 } }), 'transformers', { slots: 3 })).toBe('atLoad')
  })

  it('offer the engines that can run what the source holds', () => {
    expect(enginesOf(model({ source: { kind: 'folder', path: '/m' } }))).toEqual(['transformers', 'vllm', 'sglang'])
    expect(enginesOf(model({ source: { kind: 'hub', path: '/m/x.GGUF' } }))).toEqual(['transformers', 'llama_cpp'])
    expect(enginesOf(model({ engine: 'openai', source: { kind: 'remote' } }))).toEqual(['openai'])
    expect(enginesOf(model({ engine: 'echo', source: { kind: 'echo' } }))).toEqual(['echo'])
  })

  it('have fields for every engine', () => {
    for (const engine of ['transformers', 'llama_cpp', 'vllm', 'sglang', 'openai', 'echo']) expect(fieldsOf(engine).map(({ name }) => name)).toContain('keep_alive')
  })

  it('put a refusal at the field that it names', () => {
    const told = refusedFields({ settings: ['slots is out of range.'] }, 'transformers')
    expect(told).toEqual({ fields: { slots: ['slots is out of range.'] }, rest: [] })
    expect(refusedFields({ 'settings.dtype': ['No.'], engine: ['Not here.'] }, 'transformers').fields).toEqual({ dtype: ['No.'], engine: ['Not here.'] })
    expect(refusedFields({ settings: ['threads 超出范围。'] }, 'transformers')).toEqual({ fields: {}, rest: ['threads 超出范围。'] })
  })
})
