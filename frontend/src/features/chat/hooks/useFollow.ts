import { useCallback, useEffect, useRef, useState } from 'react'

const NEAR_PX = 48

/** Keeps a scrolling box at its end while new text arrives, but only for a reader who is at the end. `wanted`: there is something to follow. */
export function useFollow(wanted: boolean) {
  const box = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const on = useRef(wanted)
  useEffect(() => { on.current = wanted }, [wanted])
  const following = useRef(true)
  const [away, setAway] = useState(false)

  const toEnd = useCallback(() => {
    following.current = true
    setAway(false)
    if (box.current) box.current.scrollTop = box.current.scrollHeight
  }, [])

  useEffect(() => {
    const scroller = box.current
    const inner = content.current
    if (!scroller || !inner) return
    let last = scroller.scrollTop
    const onScroll = () => {
      const near = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_PX
      if (near) following.current = true
      else if (scroller.scrollTop < last) following.current = false // only the reader scrolls up
      last = scroller.scrollTop
      setAway(on.current && !following.current)
    }
    const grown = new ResizeObserver(() => { if (on.current && following.current) scroller.scrollTop = scroller.scrollHeight })
    scroller.addEventListener('scroll', onScroll, { passive: true })
    grown.observe(inner)
    grown.observe(scroller)
    return () => {
      scroller.removeEventListener('scroll', onScroll)
      grown.disconnect()
    }
  }, [])

  return { box, content, away, toEnd }
}
