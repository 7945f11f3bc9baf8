import { Cache } from '@/shared/lib/cache'

/** localStorage that never throws: private windows and full disks only lose convenience. */
export const local = {
  get(key: string): string | null {
    try { return localStorage.getItem(key) } catch { return null }
  },
  /** False: the disk is full or storage is forbidden. */
  set(key: string, value: string): boolean {
    try { localStorage.setItem(key, value); return true } catch { return false }
  },
  keys(): string[] {
    try { return Object.keys(localStorage) } catch { return [] }
  },
  remove(key: string): void {
    try { localStorage.removeItem(key) } catch { /* forbidden */ }
  },
  /** Forgets every key that starts with one of the prefixes. */
  erase(...prefixes: string[]): void {
    for (const key of local.keys()) if (prefixes.some((prefix) => key.startsWith(prefix))) local.remove(key)
  },
}

export function parseJson<T>(text: string | null): T | null {
  if (text === null) return null
  try { return JSON.parse(text) as T } catch { return null }
}

/** Conversations and lists, per person; drafts are the person's own words and stay out of the limit. */
export const cache = new Cache(local, ['hearth.snap.', 'hearth.list.'])
