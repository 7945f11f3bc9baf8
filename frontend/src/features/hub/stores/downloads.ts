import { Polled } from '@/shared/lib/polled'
import { onFrame } from '@/shared/socket'
import { actOn, loadDownloads, startDownload, type Act, type Wanted } from '../api/hub'
import type { Download, DownloadState } from '../types'

/** `asked`: when the server said so, in ms; what ended lately is told by it. */
export interface Downloads { state: 'loading' | 'ready' | 'failed'; items: Download[]; asked: number }
const NOTHING: Downloads = { state: 'loading', items: [], asked: 0 }
const LATELY_MS = 30 * 60_000

const MOVING: readonly DownloadState[] = ['queued', 'running', 'verifying']
export const isMoving = (download: Download): boolean => MOVING.includes(download.state)
/** Not at its end: it moves, or waits for a person. */
export const isOpen = (download: Download): boolean => isMoving(download) || download.state === 'paused' || download.state === 'failed'

const QUICK_MS = 1000
/** Another administrator may begin one at any time. */
const CALM_MS = 8000

/** What every administrator sees: the server's list, asked for while it is on a screen. */
export const downloads = new Polled<Downloads>(NOTHING, {
  load: async (now) => {
    try {
      const items = await loadDownloads()
      if (ended(now.items, items)) for (const listener of endListeners) listener()
      return { state: 'ready', items, asked: Date.now() }
    } catch {
      return now.items.length > 0 ? now : { ...now, state: 'failed' }
    }
  },
  wait: (now) => (now.items.some(isMoving) ? QUICK_MS : CALM_MS),
})

/** True when one that was open is not any more: its model changed with it. */
export const ended = (before: Download[], after: Download[]): boolean =>
  before.some((old) => isMoving(old) && !after.some((one) => one.id === old.id && isMoving(one)))

const endListeners = new Set<() => void>()

export function connectDownloads(onEnd: () => void): () => void {
  endListeners.add(onEnd)
  const stop = onFrame((frame) => { if (frame.type === 'model.changed' && frame.state === 'downloading' && !known(frame.model)) void downloads.refresh() })
  return () => {
    endListeners.delete(onEnd)
    stop()
    downloads.set(NOTHING)
  }
}

const known = (model: string): boolean => downloads.get().items.some((one) => one.model?.id === model && isMoving(one))

export const withDownload = (now: Downloads, one: Download): Downloads => {
  const index = now.items.findIndex((item) => item.id === one.id)
  return { ...now, state: 'ready', items: index < 0 ? [one, ...now.items] : now.items.with(index, one) }
}

async function take(call: Promise<Download>): Promise<Download> {
  const one = await call
  downloads.set(withDownload(downloads.get(), one))
  void downloads.refresh()
  return one
}

export const beginDownload = (wanted: Wanted): Promise<Download> => take(startDownload(wanted))
export const changeDownload = (id: string, act: Act): Promise<Download> => take(actOn(id, act))

/** The newest download of a repository that was not called off. */
export const downloadOfRepo = (now: Downloads, hub: string, repo: string): Download | null =>
  now.items.find((one) => one.hub === hub && one.repo === repo && one.state !== 'cancelled') ?? null

/** What a person wants in sight: all that is open, and what came to its end within the last half hour. */
export const shownDownloads = (now: Downloads): Download[] =>
  now.items.filter((one) => isOpen(one) || (one.state === 'done' && one.finished !== null && now.asked - Date.parse(one.finished) < LATELY_MS))
