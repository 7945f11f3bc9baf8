import { Store } from '@/shared/lib/store'
import { searchHub } from '../api/hub'
import type { Hit, HubName } from '../types'

export interface Found { hub: HubName | null; query: string; state: 'empty' | 'waiting' | 'ready' | 'failed'; hits: Hit[]; error: unknown }

const PAUSE_MS = 350

/** One search at a time: who types on is not answered for what stood there before. */
export class Search {
  readonly found = new Store<Found>({ hub: null, query: '', state: 'empty', hits: [], error: null })
  private timer: ReturnType<typeof setTimeout> | undefined
  private asked = 0
  constructor(private readonly ask: (hub: HubName, query: string) => Promise<Hit[]>) {}

  type(query: string): void {
    this.found.update((now) => ({ ...now, query, error: null, ...(query.trim() ? { state: 'waiting' as const } : { state: 'empty' as const, hits: [] }) }))
    this.later(PAUSE_MS)
  }

  choose(hub: HubName): void {
    if (this.found.get().hub === hub) return
    this.found.update((now) => ({ ...now, hub, hits: [], error: null, state: now.query.trim() ? 'waiting' : 'empty' }))
    this.later(0)
  }

  /** At once: Enter was pressed, or the last try failed. */
  now(): void {
    if (!this.found.get().query.trim()) return
    this.found.update((now) => ({ ...now, state: 'waiting', error: null }))
    this.later(0)
  }

  private later(ms: number): void {
    clearTimeout(this.timer)
    const turn = ++this.asked
    this.timer = setTimeout(() => void this.run(turn), ms)
  }

  private async run(turn: number): Promise<void> {
    const { hub, query } = this.found.get()
    if (!hub || !query.trim()) return
    try {
      const hits = await this.ask(hub, query.trim())
      if (turn === this.asked) this.found.update((now) => ({ ...now, state: 'ready', hits }))
    } catch (error) {
      if (turn === this.asked) this.found.update((now) => ({ ...now, state: 'failed', hits: [], error }))
    }
  }
}

/** Kept beyond the page: back from a repository, the hits are still there. */
export const search = new Search(searchHub)
