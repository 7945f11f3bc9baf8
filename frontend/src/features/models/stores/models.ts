import { loadModels } from '@/features/models/api/models'
import { Store } from '@/shared/lib/store'
import { onFrame, onSocketOpen } from '@/shared/socket'
import type { Model, ServerFrame } from '@/shared/types/wire'

export interface Models { state: 'loading' | 'ready' | 'failed'; items: Model[] }
const NOTHING: Models = { state: 'loading', items: [] }

export const models = new Store<Models>(NOTHING)

export async function refreshModels(): Promise<void> {
  try {
    const items = await loadModels()
    models.set({ state: 'ready', items })
  } catch {
    models.update((now) => (now.items.length > 0 ? now : { ...now, state: 'failed' }))
  }
}

/** The frame's facts over the card's; true when the rest (device, memory) is worth asking for. */
export function withState(now: Models, frame: Extract<ServerFrame, { type: 'model.changed' }>): { models: Models; settled: boolean } {
  const index = now.items.findIndex((item) => item.id === frame.model)
  const item = now.items[index]
  if (!item) return { models: now, settled: true }
  const next: Model = { ...item, state: frame.state, progress: frame.progress ?? null, error: frame.error ?? (frame.state === 'failed' ? item.error : null) }
  const moving = frame.state === 'loading' || frame.state === 'queued' || frame.state === 'draining'
  return { models: { ...now, items: now.items.with(index, next) }, settled: !moving && item.state !== frame.state }
}

export const defaultModel = (now: Models): Model | null => now.items.find((item) => item.is_default) ?? now.items[0] ?? null
export const findModel = (now: Models, ref: string | null | undefined): Model | null => now.items.find((item) => item.id === ref || item.name === ref) ?? null

export function connectModels(): () => void {
  void refreshModels()
  let opened = false
  const stops = [
    onFrame((frame) => {
      if (frame.type !== 'model.changed') return
      const { models: next, settled } = withState(models.get(), frame)
      models.set(next)
      if (settled) void refreshModels()
    }),
    onSocketOpen(() => {
      if (opened) void refreshModels()
      opened = true
    }),
  ]
  return () => {
    for (const stop of stops) stop()
    models.set(NOTHING)
  }
}
