import { local } from '@/shared/lib/storage'
import { Store } from '@/shared/lib/store'

export type ThemeChoice = 'system' | 'light' | 'dark'
export type Language = 'en' | 'zh'

function firstLanguage(): Language {
  const kept = local.get('hearth.language')
  if (kept === 'en' || kept === 'zh') return kept
  return navigator.languages.find((tag) => /^(zh|en)/i.test(tag))?.toLowerCase().startsWith('zh') ? 'zh' : 'en'
}

function firstTheme(): ThemeChoice {
  const kept = local.get('hearth.theme')
  return kept === 'light' || kept === 'dark' ? kept : 'system'
}

export const language = new Store<Language>(firstLanguage())
export const themeChoice = new Store<ThemeChoice>(firstTheme())
language.subscribe(() => local.set('hearth.language', language.get()))
themeChoice.subscribe(() => local.set('hearth.theme', themeChoice.get()))

const darkQuery = window.matchMedia('(prefers-color-scheme: dark)')
export const systemDark = {
  get: () => darkQuery.matches,
  subscribe: (listener: () => void) => {
    darkQuery.addEventListener('change', listener)
    return () => darkQuery.removeEventListener('change', listener)
  },
}
