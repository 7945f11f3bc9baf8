import { describe, expect, it } from 'vitest'
import { placeOf, repoIn, repoPath, wayPath } from './address'

describe('the addresses of the room', () => {
  it('lead to a way, and to the catalogue where they say nothing', () => {
    expect(['/models/add', '/models/add/', '/models/add/search', '/models/add/machine', '/models/add/what'].map((path) => placeOf(path).way))
      .toEqual(['catalogue', 'catalogue', 'search', 'machine', 'catalogue'])
    expect(placeOf(wayPath('endpoint')).way).toBe('endpoint')
  })

  it('lead to a repository and back', () => {
    const path = repoPath('huggingface', 'Qwen/Qwen3-0.6B')
    expect(path).toBe('/models/add/huggingface/Qwen/Qwen3-0.6B')
    expect(placeOf(path).repo).toEqual({ hub: 'huggingface', repo: 'Qwen/Qwen3-0.6B' })
    expect(placeOf('/models/add/elsewhere/a/b').repo).toBeNull()
  })
})

describe('what someone pastes', () => {
  it('is a repository as an id or as the address of its page', () => {
    expect(repoIn(' Qwen/Qwen3-0.6B ')).toEqual({ hub: null, repo: 'Qwen/Qwen3-0.6B' })
    expect(repoIn('https://huggingface.co/Qwen/Qwen3-0.6B/tree/main')).toEqual({ hub: 'huggingface', repo: 'Qwen/Qwen3-0.6B' })
    expect(repoIn('https://www.modelscope.cn/models/Qwen/Qwen3-0.6B')).toEqual({ hub: 'modelscope', repo: 'Qwen/Qwen3-0.6B' })
  })

  it('is a search where it is not', () => {
    for (const text of ['qwen', 'qwen 0.6', 'a/b/c', '../etc', 'https://example.org/Qwen/Qwen3', 'https://huggingface.co/Qwen']) expect(repoIn(text)).toBeNull()
  })
})
