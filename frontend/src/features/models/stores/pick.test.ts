import { describe, expect, it } from 'vitest'
import type { Model } from '@/shared/types/wire'
import { groupsOf } from './pick'
import { defaultModel } from './state'

const model = (id: string, state: Model['state'], changes: Partial<Model> = {}): Model => ({ id, name: id, state, ...changes })

describe('the choice of a model', () => {
  it('is grouped by what asking would take, without empty groups', () => {
    const models = [model('cold', 'stopped'), model('warm', 'ready'), model('coming', 'downloading'), model('ill', 'failed'), model('going', 'draining')]
    expect(groupsOf(models).map(({ group, items }) => [group, items.map(({ id }) => id)])).toEqual([
      ['here', ['warm', 'going']], ['asleep', ['cold', 'ill']], ['away', ['coming']],
    ])
    expect(groupsOf([model('warm', 'ready')]).map(({ group }) => group)).toEqual(['here'])
  })

  it('begins with the person\'s own default, then the house\'s, then what could answer', () => {
    const of = (...items: Model[]) => defaultModel({ state: 'ready', items })?.id
    expect(of(model('a', 'stopped', { is_default: true }), model('b', 'stopped', { default_for_me: true }))).toBe('b')
    expect(of(model('a', 'stopped', { default_for_me: true, enabled: false }), model('b', 'stopped', { is_default: true }))).toBe('b')
    expect(of(model('a', 'absent'), model('b', 'stopped'))).toBe('b')
    expect(of(model('a', 'absent'))).toBe('a')
  })
})
