import { describe, expect, it } from 'vitest'
import type { Model } from '@/shared/types/wire'
import { defaultModel, findModel, withState, type Models } from './state'

const model = (id: string, changes: Partial<Model> = {}): Model => ({ id, name: `name of ${id}`, state: 'stopped', ...changes })
const list = (...items: Model[]): Models => ({ state: 'ready', items })
const changed = (id: string, state: Model['state'], progress: number | null = null) => ({ type: 'model.changed' as const, model: id, state, progress })

describe('the models', () => {
  it('follow what the socket says, step by step', () => {
    const loading = withState(list(model('a'), model('b')), changed('b', 'loading', 0.4))
    expect(loading.models.items[1]).toMatchObject({ state: 'loading', progress: 0.4 })
    expect(loading.settled).toBe(false)
    const ready = withState(loading.models, changed('b', 'ready'))
    expect(ready.models.items[1]).toMatchObject({ state: 'ready', progress: null })
    expect(ready.settled).toBe(true)
  })

  it('are asked for again when one is not known here', () => {
    expect(withState(list(), changed('new', 'loading')).settled).toBe(true)
  })

  it('are found by id or name, and the default is one that may answer', () => {
    const now = list(model('off', { enabled: false, is_default: true }), model('a'), model('b', { is_default: true }))
    expect(findModel(now, 'name of a')?.id).toBe('a')
    expect(findModel(now, 'off')).toBeNull()
    expect(defaultModel(now)?.id).toBe('b')
    expect(defaultModel(list(model('a')))?.id).toBe('a')
    expect(defaultModel(list())).toBeNull()
  })
})
