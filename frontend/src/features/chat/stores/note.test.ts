import { beforeAll, describe, expect, it, vi } from 'vitest'
import type { Translator } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'
import { noteOf } from './note'

// The page's own translator asks the browser for its language.
vi.stubGlobal('navigator', { languages: ['en'] })
vi.stubGlobal('window', { matchMedia: () => ({ matches: false, addEventListener: () => undefined }) })

let en: Translator
let zh: Translator
beforeAll(async () => {
  const { translator } = await import('@/shared/i18n')
  en = translator('en')
  zh = translator('zh')
})

const model = (id: string, changes: Partial<Model> = {}): Model => ({ id, name: `name-${id}`, state: 'stopped', ...changes })
const small = model('small', { languages: ['en'] })
const arriving = (changes: Partial<Model> = {}): Model => model('big', { languages: ['zh', 'en', 'multilingual'], becomes_default: true, state: 'downloading', progress: 0.42, ...changes })

describe('the note above the composer', () => {
  it('says which one language a model speaks, in the reader’s own', () => {
    expect(noteOf(small, [small], en)).toEqual({ speaks: 'name-small speaks English only.', coming: '' })
    expect(noteOf(small, [small], zh)?.speaks).toBe('name-small 只会英语。')
  })

  it.each([[['zh', 'en']], [['multilingual']], [['code']], [[]], [undefined]])('is silent about a model of %j', (languages) => {
    const one = model('one', { languages })
    expect(noteOf(one, [one], en)).toBeNull()
  })

  it('says how far the next default is, and what it speaks', () => {
    expect(noteOf(small, [small, arriving()], en)?.coming).toBe('name-big (Chinese, English) is being downloaded: 42 %. It becomes the default when it is here.')
    expect(noteOf(small, [small, arriving()], zh)?.coming).toBe('正在下载 name-big（中文、英语）：42%，完成后成为默认模型。')
    expect(noteOf(small, [small, arriving({ download: { id: 'd', state: 'paused', bytes_done: 42, bytes_total: 100, speed: 0, seconds_left: null } })], en)?.coming).toContain('paused at 42 %')
    expect(noteOf(small, [small, arriving({ state: 'absent', progress: null })], en)?.coming).toContain('could not be downloaded')
  })

  it('tells of it where nothing else could answer, and keeps still where somebody chose another model', () => {
    const next = arriving()
    expect(noteOf(null, [next], en)).toMatchObject({ speaks: '', coming: expect.stringContaining('name-big') as string })
    expect(noteOf(next, [next], en)?.speaks).toBe('')
    const chosen = model('chosen', { languages: ['zh', 'en'] })
    expect(noteOf(chosen, [chosen, next], en)).toBeNull()
  })
})
