import type { Model, ServerFrame } from '@/shared/types/wire'

export interface Models { state: 'loading' | 'ready' | 'failed'; items: Model[] }
export const NOTHING: Models = { state: 'loading', items: [] }

/** The frame's facts over the card's; true when the rest (device, memory) is worth asking for. */
export function withState(now: Models, frame: Extract<ServerFrame, { type: 'model.changed' }>): { models: Models; settled: boolean } {
  const index = now.items.findIndex((item) => item.id === frame.model)
  const item = now.items[index]
  if (!item) return { models: now, settled: true }
  const next: Model = { ...item, state: frame.state, progress: frame.progress ?? null, error: frame.error ?? (frame.state === 'failed' ? item.error : null) }
  const moving = frame.state === 'loading' || frame.state === 'queued' || frame.state === 'draining'
  return { models: { ...now, items: now.items.with(index, next) }, settled: !moving && item.state !== frame.state }
}

/** What may answer; administrators' lists also hold what is switched off. */
export const usable = (now: Models): Model[] => now.items.filter((item) => item.enabled !== false)
export const defaultModel = (now: Models): Model | null => usable(now).find((item) => item.is_default) ?? usable(now)[0] ?? null
export const findModel = (now: Models, ref: string | null | undefined): Model | null => usable(now).find((item) => item.id === ref || item.name === ref) ?? null
