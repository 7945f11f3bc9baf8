import { useCallback, useEffect, useState } from 'react'

export type Asked<T> = { state: 'waiting'; value: null; error: null } | { state: 'ready'; value: T; error: null } | { state: 'failed'; value: null; error: unknown }
const WAITING = { state: 'waiting', value: null, error: null } as const

/** What the server says to one question, asked again when `key` changes or `again` is called; an answer to an older question is dropped. */
export function useAsked<T>(key: string, ask: () => Promise<T>): Asked<T> & { again: () => void } {
  const [turn, setTurn] = useState(0)
  const mine = `${turn} ${key}`
  const [told, setTold] = useState<{ of: string; asked: Asked<T> }>({ of: '', asked: WAITING })
  useEffect(() => {
    let here = true
    ask().then(
      (value) => { if (here) setTold({ of: mine, asked: { state: 'ready', value, error: null } }) },
      (error: unknown) => { if (here) setTold({ of: mine, asked: { state: 'failed', value: null, error } }) },
    )
    return () => { here = false }
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the key stands for what `ask` asks
  }, [mine])
  const again = useCallback(() => setTurn((now) => now + 1), [])
  return { ...(told.of === mine ? told.asked : WAITING), again }
}
