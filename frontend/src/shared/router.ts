import { Store, useStore } from '@/shared/lib/store'

/** Five addresses need no router library: a path, `navigate`, and one listener for the back button. */
const path = new Store(location.pathname)
window.addEventListener('popstate', () => path.set(location.pathname))

export function navigate(to: string, options: { replace?: boolean } = {}): void {
  if (to === location.pathname) return
  if (options.replace) history.replaceState(null, '', to)
  else history.pushState(null, '', to)
  path.set(location.pathname)
}

export const usePath = (): string => useStore(path)
export const currentPath = (): string => path.get()
export const conversationPath = (id: string | null): string => (id ? `/c/${encodeURIComponent(id)}` : '/')
export function conversationOf(pathname: string): string | null {
  const match = /^\/c\/([^/]+)\/?$/.exec(pathname)
  return match?.[1] ? decodeURIComponent(match[1]) : null
}
