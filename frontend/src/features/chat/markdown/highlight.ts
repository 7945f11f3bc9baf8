import type { HLJSApi, LanguageFn } from 'highlight.js'
import { Store } from '@/shared/lib/store'

type Loader = () => Promise<{ default: LanguageFn }>

/** Each language is its own small file, fetched when the first block of it appears. */
const LOADERS: Record<string, Loader> = {
  bash: () => import('highlight.js/lib/languages/bash'),
  c: () => import('highlight.js/lib/languages/c'),
  cpp: () => import('highlight.js/lib/languages/cpp'),
  csharp: () => import('highlight.js/lib/languages/csharp'),
  css: () => import('highlight.js/lib/languages/css'),
  diff: () => import('highlight.js/lib/languages/diff'),
  dockerfile: () => import('highlight.js/lib/languages/dockerfile'),
  go: () => import('highlight.js/lib/languages/go'),
  ini: () => import('highlight.js/lib/languages/ini'),
  java: () => import('highlight.js/lib/languages/java'),
  javascript: () => import('highlight.js/lib/languages/javascript'),
  json: () => import('highlight.js/lib/languages/json'),
  kotlin: () => import('highlight.js/lib/languages/kotlin'),
  latex: () => import('highlight.js/lib/languages/latex'),
  lua: () => import('highlight.js/lib/languages/lua'),
  makefile: () => import('highlight.js/lib/languages/makefile'),
  markdown: () => import('highlight.js/lib/languages/markdown'),
  php: () => import('highlight.js/lib/languages/php'),
  powershell: () => import('highlight.js/lib/languages/powershell'),
  python: () => import('highlight.js/lib/languages/python'),
  r: () => import('highlight.js/lib/languages/r'),
  ruby: () => import('highlight.js/lib/languages/ruby'),
  rust: () => import('highlight.js/lib/languages/rust'),
  scala: () => import('highlight.js/lib/languages/scala'),
  sql: () => import('highlight.js/lib/languages/sql'),
  swift: () => import('highlight.js/lib/languages/swift'),
  typescript: () => import('highlight.js/lib/languages/typescript'),
  xml: () => import('highlight.js/lib/languages/xml'),
  yaml: () => import('highlight.js/lib/languages/yaml'),
}

const ALIASES: Record<string, string> = {
  'c++': 'cpp', cc: 'cpp', h: 'c', 'c#': 'csharp', cs: 'csharp', docker: 'dockerfile', golang: 'go', html: 'xml', svg: 'xml', vue: 'xml',
  js: 'javascript', jsx: 'javascript', mjs: 'javascript', kt: 'kotlin', make: 'makefile', md: 'markdown', ps1: 'powershell', py: 'python',
  python3: 'python', rb: 'ruby', rs: 'rust', sh: 'bash', shell: 'bash', zsh: 'bash', console: 'bash', tex: 'latex', toml: 'ini',
  ts: 'typescript', tsx: 'typescript', yml: 'yaml', mysql: 'sql', postgresql: 'sql', sqlite: 'sql', jsonc: 'json',
}

/** Counts what has arrived; blocks that wait for their language read it. */
export const languagesReady = new Store(0)
const ready = new Map<string, HLJSApi>()
const asked = new Set<string>()

export function languageOf(info: string | undefined): string | null {
  const word = info?.trim().split(/[\s{,:]/)[0]?.toLowerCase() ?? ''
  const name = ALIASES[word] ?? word
  return Object.hasOwn(LOADERS, name) ? name : null
}

export interface Coloured {
  /** All text escaped. */
  html: string
  /** Nothing (no comment, no string) is open at the end: what follows may be coloured by itself. */
  closed: boolean
}

/** Null while the language is on its way. */
export function highlighted(code: string, language: string): Coloured | null {
  const drawer = ready.get(language)
  if (drawer) {
    const { value, _top } = drawer.highlight(code, { language, ignoreIllegals: true })
    return { html: value, closed: _top !== undefined && !('parent' in _top && _top.parent) }
  }
  if (!asked.has(language)) {
    asked.add(language)
    void fetchLanguage(language)
  }
  return null
}

async function fetchLanguage(language: string): Promise<void> {
  const loader = LOADERS[language]
  if (!loader) return
  try {
    const [{ default: core }, { default: grammar }] = await Promise.all([import('highlight.js/lib/core'), loader()])
    core.registerLanguage(language, grammar)
    ready.set(language, core)
    languagesReady.update((count) => count + 1)
  } catch {
    asked.delete(language) // offline just now: the next block asks again
  }
}
