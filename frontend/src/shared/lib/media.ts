import type { Readable } from '@/shared/lib/store'

/** A media query as something that components read through `useStore`. */
export function media(query: string): Readable<boolean> {
  const list = window.matchMedia(query)
  return {
    get: () => list.matches,
    subscribe: (listener) => {
      list.addEventListener('change', listener)
      return () => list.removeEventListener('change', listener)
    },
  }
}

/** The sidebar is a drawer below this width; app.css has the same number. */
export const narrow = media('(max-width: 760px)')
/** So narrow (a phone at 200 %) that the header keeps only the way around. */
export const tiny = media('(max-width: 300px)')
/** A finger, not a mouse: Enter breaks the line and nothing hovers. */
export const touch = media('(pointer: coarse)')
