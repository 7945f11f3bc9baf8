import { useMemo } from 'react'
import { ApiError } from '@/shared/api/errors'
import { useStore } from '@/shared/lib/store'
import { language, type Language } from '@/shared/prefs'
import { en } from './en'
import { zh } from './zh'

export type Key = keyof typeof en
export type Params = Record<string, string | number>
const books: Record<Language, Record<Key, string>> = { en, zh }

export const tagOf = (lang: Language): string => (lang === 'zh' ? 'zh-CN' : 'en')

export function translate(lang: Language, key: Key, params: Params = {}): string {
  return books[lang][key].replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = params[name]
    if (value === undefined) return whole
    return typeof value === 'number' ? value.toLocaleString(tagOf(lang)) : value
  })
}

export interface Translator {
  lang: Language
  t: (key: Key, params?: Params) => string
  percent: (fraction: number) => string
  ordinal: (position: number) => string
  bytes: (count: number) => string
  /** What happened and what to do, for anything that was thrown. */
  problem: (error: unknown) => string
}

const SUFFIX: Record<string, string> = { one: 'st', two: 'nd', few: 'rd', other: 'th' }

export function translator(lang: Language): Translator {
  const tag = tagOf(lang)
  const t = (key: Key, params?: Params) => translate(lang, key, params)
  return {
    lang,
    t,
    percent: (fraction) => `${Math.round(Math.min(1, Math.max(0, fraction)) * 100)}${lang === 'zh' ? '' : ' '}%`,
    ordinal: (position) => (lang === 'zh' ? String(position) : `${position}${SUFFIX[new Intl.PluralRules('en', { type: 'ordinal' }).select(position)] ?? 'th'}`),
    bytes: (count) => {
      // As hubs and the server's own sentences count: 1 GB is 10^9.
      const [size, unit] = count >= 1e9 ? [1e9, 'GB'] : count >= 1e6 ? [1e6, 'MB'] : [1e3, 'kB']
      return `${(count / size).toLocaleString(tag, { maximumFractionDigits: unit === 'GB' ? 1 : 0 })} ${unit}`
    },
    problem: (error) => {
      if (!(error instanceof ApiError)) return t('error.server', { code: 'page' })
      if (error.code === 'network') return t('error.network')
      if (error.status === 429) return t('error.throttled')
      if (error.status === 404) return t('error.not_found')
      if (error.status >= 500) return t('error.server', { code: error.code })
      if (error.message) return error.message
      return error.status === 403 ? t('error.forbidden') : t('error.server', { code: error.code })
    },
  }
}

export function useT(): Translator {
  const lang = useStore(language)
  return useMemo(() => translator(lang), [lang])
}
