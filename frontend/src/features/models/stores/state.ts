import type { Model, ServerFrame } from '@/shared/types/wire'

export interface Models { state: 'loading' | 'ready' | 'failed'; items: Model[] }
export const NOTHING: Models = { state: 'loading', items: [] }

/** The frame's facts over the card's; true when the rest (device, memory) is worth asking for. */
export function withState(now: Models, frame: Extract<ServerFrame, { type: 'model.changed' }>): { models: Models; settled: boolean } {
  const index = now.items.findIndex((item) => item.id === frame.model)
  const item = now.items[index]
  if (!item) return { models: now, settled: true }
  const next: Model = { ...item, state: frame.state, progress: frame.progress ?? null, error: frame.error ?? (frame.state === 'failed' ? item.error : null), download: frame.download ?? null }
  const moving = frame.state === 'loading' || frame.state === 'queued' || frame.state === 'draining'
  return { models: { ...now, items: now.items.with(index, next) }, settled: !moving && item.state !== frame.state }
}

/** Its files are not all here yet. */
export const away = (model: Model): boolean => model.state === 'absent' || model.state === 'downloading'
/** Figures of such a model change while nobody says so. */
export const alive = (model: Model): boolean => ['queued', 'loading', 'ready', 'draining', 'downloading'].includes(model.state)

/** What may answer; administrators' lists also hold what is switched off. */
export const usable = (now: Models): Model[] => now.items.filter((item) => item.enabled !== false)
/** The person's own default, else the house's, else the first that could answer: the server's rule. */
export function defaultModel(now: Models): Model | null {
  const able = usable(now)
  return able.find((item) => item.default_for_me) ?? able.find((item) => item.is_default) ?? able.find((item) => !away(item)) ?? able[0] ?? null
}
export const findModel = (now: Models, ref: string | null | undefined): Model | null => usable(now).find((item) => item.id === ref || item.name === ref) ?? null
