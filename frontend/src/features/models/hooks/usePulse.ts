import { useEffect } from 'react'
import { models, refreshModels } from '../stores/models'
import { alive } from '../stores/state'

const EVERY_MS = 2_000

/** States come over the socket; figures (speed, memory, who waits) are asked for while someone looks and a model lives. */
export function usePulse(): void {
  useEffect(() => {
    let asking = false
    const look = () => {
      if (asking || document.visibilityState !== 'visible' || !models.get().items.some(alive)) return
      asking = true
      void refreshModels().finally(() => { asking = false })
    }
    const timer = setInterval(look, EVERY_MS)
    document.addEventListener('visibilitychange', look)
    void refreshModels()
    return () => {
      clearInterval(timer)
      document.removeEventListener('visibilitychange', look)
    }
  }, [])
}
