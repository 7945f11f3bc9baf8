interface Ports<T> {
  load: (now: T) => Promise<T>
  /** Milliseconds until the next look. */
  wait: (now: T) => number
}

/** A value of the server that is asked for again and again, only while someone looks at it. */
export class Polled<T> {
  private readers = new Set<() => void>()
  private timer: ReturnType<typeof setTimeout> | undefined
  private asking: Promise<void> | null = null
  private stale = false
  constructor(private value: T, private readonly ports: Ports<T>) {}

  get = (): T => this.value

  set(next: T): void {
    if (Object.is(next, this.value)) return
    this.value = next
    for (const reader of [...this.readers]) reader()
  }

  subscribe = (reader: () => void): (() => void) => {
    this.readers.add(reader)
    if (this.readers.size === 1) void this.refresh()
    return () => {
      this.readers.delete(reader)
      if (this.readers.size === 0) clearTimeout(this.timer)
    }
  }

  /** Asks at once. What is asked while an answer is under way is asked once more after it, so that it is never older than the call. */
  refresh(): Promise<void> {
    if (this.asking) {
      this.stale = true
      return this.asking
    }
    clearTimeout(this.timer)
    this.asking = this.ask().finally(() => {
      this.asking = null
      if (this.readers.size > 0) this.timer = setTimeout(() => void this.refresh(), this.ports.wait(this.value))
    })
    return this.asking
  }

  private async ask(): Promise<void> {
    do {
      this.stale = false
      this.set(await this.ports.load(this.value))
    } while (this.stale)
  }
}
