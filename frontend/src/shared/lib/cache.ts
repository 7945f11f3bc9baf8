/** The part of Storage that the cache needs. */
export interface Shelf {
  keys: () => string[]
  get: (key: string) => string | null
  set: (key: string, value: string) => boolean
  remove: (key: string) => void
}

interface Kept<T> { at: number; value: T }

/** localStorage holds UTF-16: two bytes for each unit of key and value. */
export const CACHE_BYTES = 2 * 1024 * 1024
const bytesOf = (key: string, text: string): number => 2 * (key.length + text.length)

/**
 * Recent things of one person, so that they can be shown before the server has answered.
 * All people and kinds together stay below `limit` bytes; what was written longest ago goes first.
 */
export class Cache {
  constructor(private readonly shelf: Shelf, private readonly prefixes: string[], private readonly limit = CACHE_BYTES) {}

  read<T>(key: string): T | null {
    return this.parse<T>(key)?.value ?? null
  }

  write(key: string, value: unknown, at = Date.now()): void {
    const text = JSON.stringify({ at, value } satisfies Kept<unknown>)
    if (bytesOf(key, text) > this.limit) { this.shelf.remove(key); return }
    this.makeRoom(bytesOf(key, text), key)
    // The browser's own limit may be nearer than ours.
    while (!this.shelf.set(key, text)) if (!this.dropOldest(key)) return
  }

  remove(key: string): void {
    this.shelf.remove(key)
  }

  erase(): void {
    for (const key of this.ours()) this.shelf.remove(key)
  }

  bytes(): number {
    return this.ours().reduce((sum, key) => sum + bytesOf(key, this.shelf.get(key) ?? ''), 0)
  }

  private makeRoom(needed: number, except: string): void {
    let used = this.ours().filter((key) => key !== except).reduce((sum, key) => sum + bytesOf(key, this.shelf.get(key) ?? ''), 0)
    while (used + needed > this.limit) {
      const freed = this.dropOldest(except)
      if (freed === 0) return
      used -= freed
    }
  }

  private dropOldest(except: string): number {
    const oldest = this.ours().filter((key) => key !== except)
      .map((key) => ({ key, at: this.parse(key)?.at ?? 0 }))
      .sort((a, b) => a.at - b.at)[0]
    if (!oldest) return 0
    const freed = bytesOf(oldest.key, this.shelf.get(oldest.key) ?? '')
    this.shelf.remove(oldest.key)
    return freed
  }

  private ours(): string[] {
    return this.shelf.keys().filter((key) => this.prefixes.some((prefix) => key.startsWith(prefix)))
  }

  private parse<T>(key: string): Kept<T> | null {
    try { return JSON.parse(this.shelf.get(key) ?? 'null') as Kept<T> | null } catch { return null }
  }
}
