import type { AnchorHTMLAttributes } from 'react'
import { navigate } from '@/shared/router'

/** A real link (middle click, copy address) that does not reload the page on a plain click. */
export function RouteLink({ to, onClick, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { to: string }) {
  return (
    <a {...rest} href={to} onClick={(event) => {
      onClick?.(event)
      if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
      event.preventDefault()
      navigate(to)
    }} />
  )
}
