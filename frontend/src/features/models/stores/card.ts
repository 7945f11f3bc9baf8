import type { Model } from '@/shared/types/wire'
import { away } from './state'

export type Primary = 'download' | 'resume' | 'pause' | 'load' | 'again' | 'cancel' | 'unload' | 'draining' | 'ask'

interface Source { kind?: string; hub?: string; repo?: string; revision?: string; path?: string; base_url?: string; model?: string }
/** Administrators alone are told the source. */
export const sourceOf = (model: Model): Source => (typeof model.source === 'object' && model.source !== null ? (model.source as Source) : {})
export const settingsOf = (model: Model): Record<string, unknown> => (typeof model.settings === 'object' && model.settings !== null ? { ...(model.settings as Record<string, unknown>) } : {})
export const repoOf = (model: Model): { hub: string; repo: string; revision?: string } | null => {
  const { kind, hub, repo, revision } = sourceOf(model)
  return kind === 'hub' && hub && repo ? { hub, repo, ...(revision ? { revision } : {}) } : null
}

const OPEN = ['queued', 'running', 'verifying']

/** The one thing worth doing with it now; null: nothing helps from here. */
export function primaryOf(model: Model, admin: boolean): Primary | null {
  if (!admin) return away(model) || model.enabled === false ? null : 'ask'
  if (away(model)) {
    if (model.download && OPEN.includes(model.download.state)) return 'pause'
    if (model.download && model.download.state !== 'done') return 'resume'
    return repoOf(model) ? 'download' : null
  }
  switch (model.state) {
    case 'stopped': return 'load'
    case 'failed': return 'again'
    case 'queued':
    case 'loading': return 'cancel'
    case 'ready': return 'unload'
    default: return 'draining'
  }
}

/** 0..1 of what it waits for, or null where nobody can say. */
export function progressOf(model: Model): number | null {
  if (model.state === 'loading') return model.progress ?? null
  if (!away(model)) return null
  if (model.download && model.download.bytes_total > 0) return Math.min(1, model.download.bytes_done / model.download.bytes_total)
  return model.state === 'downloading' ? (model.progress ?? null) : null
}

/** `counted`: what the service sets aside for it, told only while nothing is measured. */
export interface MemoryBar { measured: number | null; counted: number | null; predicted: number | null; filled: number; mark: number | null; returned: number | null }

/** Memory is drawn at one scale on all cards, so that they can be compared: the largest figure among them. */
export const scaleOf = (models: Model[]): number => Math.max(0, ...models.flatMap((model) => [model.measured_bytes ?? model.memory_bytes ?? 0, model.predicted_bytes ?? 0]))

/** The shares (0..1) of the bar; null: nothing is known of its memory. What came back is worth telling only after. */
export function memoryBar(model: Model, scale: number): MemoryBar | null {
  const holds = ['loading', 'ready', 'draining'].includes(model.state)
  const measured = holds ? model.measured_bytes || null : null
  const counted = holds && measured === null ? model.memory_bytes || null : null
  const predicted = model.predicted_bytes || null
  const returned = holds ? null : model.returned_bytes || null
  if (measured === null && counted === null && predicted === null && returned === null) return null
  const share = (bytes: number): number => (scale > 0 ? Math.min(1, bytes / scale) : 0)
  return { measured, counted, predicted, returned, filled: share(measured ?? counted ?? 0), mark: predicted === null ? null : share(predicted) }
}

/** An exception's own text is for the log; people get a sentence. */
export const isRaw = (message: string): boolean => /^[\w.]*(Error|Exception|Exit|Warning)\b/.test(message)

/** What is told of a default: the house's, the reader's own choice, and whether that is this one. */
export const isMine = (model: Model, user: { default_model?: string } | null | undefined): boolean => user?.default_model === model.id
