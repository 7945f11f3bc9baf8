import { Store } from '@/shared/lib/store'
import type { ClientFrame, ServerFrame } from '@/shared/types/wire'

/** `idle`: nobody signed in. `waiting` carries the moment of the next try. */
export type Link =
  | { state: 'idle' }
  | { state: 'connecting'; lost: boolean }
  | { state: 'open' }
  | { state: 'waiting'; retryAt: number }

export interface SocketPort {
  readyState: number
  send: (data: string) => void
  close: (code?: number) => void
  onopen: (() => void) | null
  onmessage: ((event: { data: unknown }) => void) | null
  onclose: ((event: { code: number }) => void) | null
}

export interface SocketOptions {
  open: (protocols: string[]) => SocketPort
  token: () => string | null
  /** True: a fresh token is there. False: signed out. Throws when the server cannot be reached. */
  refresh: () => Promise<boolean>
  onOpen: () => void
  onFrame: (frame: ServerFrame) => void
}

export const BACK_OFF_S = [1, 2, 3, 5, 8, 13, 20]
const PING_MS = 20_000
const SILENCE_MS = 35_000
const REVOKED = 4401

/** The one connection of this tab. It reconnects for ever until `stop`; frames sent while it is down are refused. */
export class ChatSocket {
  readonly link = new Store<Link>({ state: 'idle' })
  private port: SocketPort | null = null
  private tries = 0
  private wanted = false
  private refusals = 0
  private lastFrame = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private pulse: ReturnType<typeof setInterval> | undefined

  constructor(private readonly options: SocketOptions) {}

  start(): void {
    if (this.wanted) return
    this.wanted = true
    this.tries = 0
    this.connect(false)
  }

  stop(): void {
    this.wanted = false
    this.drop()
    clearTimeout(this.timer)
    this.link.set({ state: 'idle' })
  }

  /** Tries at once: the browser came back online, the tab came to the front, or the person asked. */
  hurry(): void {
    if (this.wanted && this.link.get().state === 'waiting') this.connect(true)
  }

  /** The browser says that it is offline: an open socket would notice only by its silence. */
  doubt(): void {
    if (!this.wanted || this.link.get().state !== 'open') return
    this.drop()
    this.retryLater()
  }

  send(frame: ClientFrame): boolean {
    if (!this.port || this.link.get().state !== 'open') return false
    this.port.send(JSON.stringify(frame))
    return true
  }

  private connect(lost: boolean): void {
    clearTimeout(this.timer)
    this.drop()
    const token = this.options.token()
    if (!token) { this.stop(); return }
    this.link.set({ state: 'connecting', lost })
    const port = this.options.open(['chat.v1', token])
    this.port = port
    this.lastFrame = Date.now()
    this.pulse = setInterval(() => this.beat(port), 5_000)
    port.onopen = () => {
      this.tries = 0
      this.lastFrame = Date.now()
      this.lastPing = Date.now()
      this.link.set({ state: 'open' })
      this.options.onOpen()
    }
    port.onmessage = (event) => {
      this.lastFrame = Date.now()
      this.refusals = 0
      const frame = JSON.parse(String(event.data)) as ServerFrame
      this.options.onFrame(frame)
    }
    port.onclose = (event) => {
      if (port !== this.port) return
      this.drop()
      if (event.code === REVOKED) void this.renew()
      else this.retryLater()
    }
  }

  private lastPing = 0

  private beat(port: SocketPort): void {
    const now = Date.now()
    if (now - this.lastFrame > SILENCE_MS) {
      this.drop()
      this.retryLater()
    } else if (this.link.get().state === 'open' && now - this.lastPing >= PING_MS) {
      this.lastPing = now
      port.send(JSON.stringify({ type: 'ping', t: now } satisfies ClientFrame))
    }
  }

  /** 4401: one fresh token is worth one more try; a second refusal in a row waits like any other loss. */
  private async renew(): Promise<void> {
    this.refusals += 1
    try {
      if (!(await this.options.refresh())) { this.stop(); return }
    } catch {
      this.retryLater()
      return
    }
    if (!this.wanted) return
    if (this.refusals > 1) this.retryLater()
    else this.connect(true)
  }

  private retryLater(): void {
    if (!this.wanted) return
    const seconds = BACK_OFF_S[Math.min(this.tries, BACK_OFF_S.length - 1)] ?? 20
    this.tries += 1
    this.link.set({ state: 'waiting', retryAt: Date.now() + seconds * 1000 })
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.connect(true), seconds * 1000)
  }

  private drop(): void {
    clearInterval(this.pulse)
    const port = this.port
    this.port = null
    if (!port) return
    port.onopen = port.onmessage = port.onclose = null
    port.close()
  }
}
