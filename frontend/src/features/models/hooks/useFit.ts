import { useEffect, useState } from 'react'
import type { Fit } from '@/shared/types/wire'
import { askFit } from '../api/models'

/** Typing must not ask at each digit. */
const PAUSE_MS = 350

export interface Asked { fit: Fit | null; error: unknown; waiting: boolean }
const NOTHING: Asked = { fit: null, error: null, waiting: true }

/** The fit for these numbers, asked anew a moment after they change; the last answer stays while the next is on its way. */
export function useFit(model: string, context: number | null, concurrency: number | null, saved: unknown): Asked {
  const [asked, setAsked] = useState<Asked>(NOTHING)
  useEffect(() => {
    let current = true
    const timer = setTimeout(() => {
      setAsked((now) => ({ ...now, waiting: true }))
      askFit(model, context, concurrency)
        .then((fit) => { if (current) setAsked({ fit, error: null, waiting: false }) })
        .catch((error: unknown) => { if (current) setAsked({ fit: null, error, waiting: false }) })
    }, PAUSE_MS)
    return () => { current = false; clearTimeout(timer) }
  }, [model, context, concurrency, saved])
  return asked
}
