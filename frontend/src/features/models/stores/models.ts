import { loadModels } from '@/features/models/api/models'
import { Store } from '@/shared/lib/store'
import { onFrame, onSocketOpen } from '@/shared/socket'
import { NOTHING, withState, type Models } from './state'

export const models = new Store<Models>(NOTHING)

export async function refreshModels(): Promise<void> {
  try {
    const items = await loadModels()
    models.set({ state: 'ready', items })
  } catch {
    models.update((now) => (now.items.length > 0 ? now : { ...now, state: 'failed' }))
  }
}

export function connectModels(): () => void {
  void refreshModels()
  let opened = false
  const stops = [
    onFrame((frame) => {
      if (frame.type === 'error' && frame.code === 'model_not_found') void refreshModels() // it was deleted meanwhile
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
