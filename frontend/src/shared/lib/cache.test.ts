import { describe, expect, it } from 'vitest'
import { Cache, type Shelf } from './cache'

function shelf(room = Infinity): Shelf & { map: Map<string, string> } {
  const map = new Map<string, string>()
  return {
    map, keys: () => [...map.keys()], get: (key) => map.get(key) ?? null, remove: (key) => { map.delete(key) },
    set: (key, value) => {
      const used = [...map].reduce((sum, [name, text]) => (name === key ? sum : sum + name.length + text.length), 0)
      if (used + key.length + value.length > room) return false
      map.set(key, value)
      return true
    },
  }
}

describe('the cache', () => {
  it('gives back what was put in', () => {
    const cache = new Cache(shelf(), ['snap.'])
    cache.write('snap.u.1', { words: '炉边' })
    expect(cache.read('snap.u.1')).toEqual({ words: '炉边' })
    expect(cache.read('snap.u.2')).toBeNull()
  })

  it('stays below its limit, and the oldest goes first', () => {
    const cache = new Cache(shelf(), ['snap.'], 2_000)
    for (let index = 0; index < 10; index += 1) cache.write(`snap.${index}`, 'x'.repeat(200), index)
    expect(cache.bytes()).toBeLessThanOrEqual(2_000)
    expect(cache.read('snap.0')).toBeNull()
    expect(cache.read('snap.9')).not.toBeNull()
  })

  it('counts a rewritten entry as new and once', () => {
    const cache = new Cache(shelf(), ['snap.'], 1_100)
    cache.write('snap.a', 'x'.repeat(200), 1)
    cache.write('snap.b', 'x'.repeat(200), 2)
    cache.write('snap.a', 'x'.repeat(200), 3)
    cache.write('snap.c', 'x'.repeat(200), 4)
    expect([cache.read('snap.a'), cache.read('snap.b'), cache.read('snap.c')].map((value) => value !== null)).toEqual([true, false, true])
  })

  it('does not keep what is larger than all its room, not even an old version of it', () => {
    const cache = new Cache(shelf(), ['snap.'], 500)
    cache.write('snap.a', 'small')
    cache.write('snap.a', 'x'.repeat(1_000))
    expect(cache.read('snap.a')).toBeNull()
  })

  it('makes room when the browser has less than promised, and gives up in peace', () => {
    const cache = new Cache(shelf(600), ['snap.'])
    cache.write('snap.a', 'x'.repeat(200), 1)
    cache.write('snap.b', 'x'.repeat(200), 2)
    cache.write('snap.c', 'x'.repeat(200), 3)
    expect(cache.read('snap.a')).toBeNull()
    expect(cache.read('snap.c')).not.toBeNull()
    cache.write('snap.d', 'x'.repeat(900), 4)
    expect(cache.read('snap.d')).toBeNull()
  })

  it('erases its own and leaves the rest', () => {
    const store = shelf()
    store.set('theme', 'dark')
    const cache = new Cache(store, ['snap.', 'list.'])
    cache.write('snap.a', 1)
    cache.write('list.a', 1)
    cache.erase()
    expect(store.keys()).toEqual(['theme'])
  })

  it('is not broken by what others wrote', () => {
    const store = shelf()
    store.set('snap.a', '{nonsense')
    expect(new Cache(store, ['snap.']).read('snap.a')).toBeNull()
  })
})
