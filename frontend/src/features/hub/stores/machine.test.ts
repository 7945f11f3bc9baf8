import { describe, expect, it } from 'vitest'
import { shownEntries, sourcesOf } from './catalogue'
import { kindOf, presetFrom, takePreset } from './endpoint'
import { nameOf, sourceOf } from './machine'
import type { Entry } from '../types'

describe('a path on this machine', () => {
  it('is a GGUF file or a folder, and names its model', () => {
    expect(sourceOf(' /srv/models/a.GGUF ')).toEqual({ kind: 'gguf', path: '/srv/models/a.GGUF' })
    expect(sourceOf('/srv/models/Qwen3-0.6B').kind).toBe('folder')
    expect(['/srv/models/Qwen3-0.6B/', 'C:\\models\\a-q4.gguf', '/cache/models--Qwen--Qwen3-0.6B', ''].map(nameOf)).toEqual(['Qwen3-0.6B', 'a-q4', 'Qwen3-0.6B', ''])
  })
})

describe('the catalogue', () => {
  const entry = (id: string, changes: Partial<Entry> = {}): Entry => ({
    id, name: id, family: 'qwen3', parameters: 1, size_bytes: 1, context_length: 1, license: 'mit', capabilities: ['tools'], languages: ['en', 'zh'],
    needed_bytes: 5, modelscope: `m/${id}`, huggingface: `h/${id}`, remote: null, note: '', model: null, ...changes,
  })

  it('is filtered by words and by what fits now; what runs elsewhere always fits', () => {
    const all = [entry('small'), entry('big', { needed_bytes: 50 }), entry('far', { needed_bytes: 999, remote: { base_url: 'https://x', model: 'm' } })]
    expect(shownEntries(all, 'QWEN3 big', null).map((one) => one.id)).toEqual(['big'])
    expect(shownEntries(all, '', { free_bytes: 10, total_bytes: 100 }).map((one) => one.id)).toEqual(['small', 'far'])
  })

  it('names the near hub first', () => {
    expect(sourcesOf(entry('a'), 'huggingface').map((one) => one.hub)).toEqual(['huggingface', 'modelscope'])
    expect(sourcesOf(entry('a', { huggingface: null }), 'huggingface')).toEqual([{ hub: 'modelscope', repo: 'm/a' }])
  })

  it('hands an endpoint to the form once', () => {
    presetFrom('DeepSeek-V3', { base_url: 'https://api.deepseek.com', model: 'deepseek-chat' })
    expect(takePreset()).toEqual({ name: 'DeepSeek-V3', base_url: 'https://api.deepseek.com', model: 'deepseek-chat', continues: false })
    expect(takePreset()).toBeNull()
    expect([kindOf('https://api.deepseek.com/beta'), kindOf('https://deepseek.com.example.org'), kindOf('')]).toEqual(['deepseek', 'other', 'other'])
  })
})
