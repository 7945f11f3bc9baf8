import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ServerFrame } from '@/shared/types/wire'
import { BACK_OFF_S, ChatSocket, type SocketPort } from './socket'

class Port implements SocketPort {
  readyState = 0
  sent: string[] = []
  closed = false
  onopen: (() => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: ((event: { code: number }) => void) | null = null
  send = (data: string): void => { this.sent.push(data) }
  close = (): void => { this.closed = true }
}

let ports: Port[]
let offered: string[][]
let token: string | null
let renewed: () => Promise<boolean>
let frames: ServerFrame[]
let opened: number
let socket: ChatSocket
const last = (): Port => ports.at(-1)!

beforeEach(() => {
  vi.useFakeTimers()
  ports = []
  offered = []
  token = 'first'
  renewed = () => { token = 'second'; return Promise.resolve(true) }
  frames = []
  opened = 0
  socket = new ChatSocket({
    open: (protocols) => { offered.push(protocols); const port = new Port(); ports.push(port); return port },
    token: () => token,
    refresh: () => renewed(),
    onOpen: () => { opened += 1 },
    onFrame: (frame) => { frames.push(frame) },
  })
  socket.start()
})
afterEach(() => { socket.stop(); vi.useRealTimers() })

describe('the socket', () => {
  it('carries the token as its second subprotocol', () => {
    expect(offered).toEqual([['chat.v1', 'first']])
  })

  it('refuses to send while it is not open, so that nothing is lost in silence', () => {
    expect(socket.send({ type: 'ping', t: 1 })).toBe(false)
    last().onopen?.()
    expect(socket.send({ type: 'ping', t: 1 })).toBe(true)
    expect(opened).toBe(1)
  })

  it('comes back after a loss, later and later, and says when', () => {
    last().onclose?.({ code: 1006 })
    const link = socket.link.get()
    expect(link.state === 'waiting' && link.retryAt - Date.now()).toBe(1000 * BACK_OFF_S[0]!)
    vi.advanceTimersByTime(1000 * BACK_OFF_S[0]!)
    expect(ports).toHaveLength(2)
    last().onclose?.({ code: 1006 })
    vi.advanceTimersByTime(1000 * BACK_OFF_S[1]! - 1)
    expect(ports).toHaveLength(2)
    vi.advanceTimersByTime(1)
    expect(ports).toHaveLength(3)
  })

  it('tries at once when it is told to hurry', () => {
    last().onclose?.({ code: 1006 })
    socket.hurry()
    expect(ports).toHaveLength(2)
  })

  it('takes a fresh token after 4401, and does not hammer when that is refused too', async () => {
    last().onclose?.({ code: 4401 })
    await vi.advanceTimersByTimeAsync(0)
    expect(offered.at(-1)).toEqual(['chat.v1', 'second'])
    last().onclose?.({ code: 4401 })
    await vi.advanceTimersByTimeAsync(0)
    expect(ports).toHaveLength(2)
    expect(socket.link.get().state).toBe('waiting')
  })

  it('rests when the session is over', async () => {
    renewed = () => { token = null; return Promise.resolve(false) }
    last().onclose?.({ code: 4401 })
    await vi.advanceTimersByTimeAsync(60_000)
    expect(ports).toHaveLength(1)
    expect(socket.link.get().state).toBe('idle')
  })

  it('gives up on a line that is silent beyond the heartbeat', () => {
    last().onopen?.()
    vi.advanceTimersByTime(30_000)
    last().onmessage?.({ data: '{"type":"heartbeat"}' })
    vi.advanceTimersByTime(30_000)
    expect(socket.link.get().state).toBe('open')
    vi.advanceTimersByTime(10_000)
    expect(ports[0]!.closed).toBe(true)
    expect(socket.link.get().state).not.toBe('open')
  })

  it('hears nothing from a connection that it has left', () => {
    const old = last()
    old.onclose?.({ code: 1006 })
    socket.hurry()
    expect(old.onmessage).toBeNull()
    last().onmessage?.({ data: '{"type":"pong"}' })
    expect(frames).toEqual([{ type: 'pong' }])
  })
})
