import { refresh, session } from '@/shared/api/session'
import { ChatSocket, type SocketPort } from '@/shared/socket/socket'
import type { ServerFrame } from '@/shared/types/wire'

type FrameListener = (frame: ServerFrame) => void
const frameListeners = new Set<FrameListener>()
const openListeners = new Set<() => void>()

export const socket = new ChatSocket({
  open: (protocols) => {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
    return new WebSocket(`${scheme}://${location.host}/ws/chat/`, protocols) as unknown as SocketPort
  },
  token: () => session.get()?.access ?? null,
  refresh,
  onOpen: () => { for (const listener of openListeners) listener() },
  onFrame: (frame) => { for (const listener of frameListeners) listener(frame) },
})

export function onFrame(listener: FrameListener): () => void {
  frameListeners.add(listener)
  return () => { frameListeners.delete(listener) }
}

export function onSocketOpen(listener: () => void): () => void {
  openListeners.add(listener)
  return () => { openListeners.delete(listener) }
}

window.addEventListener('offline', () => socket.doubt())
window.addEventListener('online', () => socket.hurry())
document.addEventListener('visibilitychange', () => { if (document.visibilityState === 'visible') socket.hurry() })
