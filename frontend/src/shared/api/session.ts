import { ApiError, errorOf } from '@/shared/api/errors'
import { local, parseJson } from '@/shared/lib/storage'
import { Store } from '@/shared/lib/store'
import type { Tokens as Granted, User } from '@/shared/types/wire'

export type Tokens = Pick<Granted, 'access_token' | 'refresh_token' | 'expires_in'>

export interface Session { access: string; refresh: string; expiresAt: number; user: User | null }

const KEY = 'hearth.session'
const EARLY_MS = 60_000

/** Who is signed in, in this tab and (through localStorage) in all of them. */
export const session = new Store<Session | null>(parseJson<Session>(local.get(KEY)))

session.subscribe(() => {
  const value = session.get()
  if (value) local.set(KEY, JSON.stringify(value))
  else local.remove(KEY)
  scheduleRefresh()
})

window.addEventListener('storage', (event) => {
  if (event.key !== KEY && event.key !== null) return
  const kept = parseJson<Session>(local.get(KEY))
  session.set(kept)
  if (!kept) eraseTraces() // this tab may have written after the other one erased
})

export function adopt(tokens: Tokens, user: User | null = session.get()?.user ?? null): void {
  session.set({ access: tokens.access_token, refresh: tokens.refresh_token, expiresAt: Date.now() + tokens.expires_in * 1000, user })
}

/** Everything this browser kept about the person goes with the session. */
export function forget(): void {
  session.set(null)
  eraseTraces()
}

function eraseTraces(): void {
  local.erase('hearth.snap.', 'hearth.list.', 'hearth.draft.')
}

let running: Promise<boolean> | null = null

/**
 * True: the session has a fresh access token. False: the server said no and the session is gone.
 * Throws ApiError `network` when nobody answered; the session then stays.
 */
export function refresh(): Promise<boolean> {
  running ??= acrossTabs(refreshOnce).finally(() => { running = null })
  return running
}

async function refreshOnce(stale: string | undefined): Promise<boolean> {
  const kept = parseJson<Session>(local.get(KEY)) ?? session.get()
  if (!kept) return false
  if (stale !== undefined && kept.refresh !== stale) {
    session.set(kept) // another tab was faster
    return true
  }
  let response: Response
  try {
    response = await fetch('/api/auth/token/', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ grant_type: 'refresh_token', refresh_token: kept.refresh }),
    })
  } catch {
    throw new ApiError(0, 'network', '')
  }
  if (response.ok) {
    adopt((await response.json()) as Tokens, kept.user)
    return true
  }
  if (response.status >= 500 || response.status === 429) throw new ApiError(response.status, 'network', '')
  const error = await errorOf(response)
  if (error.status === 400 || error.status === 401) {
    forget()
    return false
  }
  throw error
}

/** Web Locks need a secure context; elsewhere the server's 10 s of grace for parallel tabs is enough. */
async function acrossTabs(work: (stale: string | undefined) => Promise<boolean>): Promise<boolean> {
  const stale = session.get()?.refresh
  if (!('locks' in navigator) || !navigator.locks) return work(stale)
  return (await navigator.locks.request('hearth.refresh', () => work(stale))) as boolean
}

let timer: ReturnType<typeof setTimeout> | undefined
function scheduleRefresh(): void {
  clearTimeout(timer)
  const value = session.get()
  if (!value) return
  const wait = Math.max(5_000, value.expiresAt - Date.now() - EARLY_MS)
  timer = setTimeout(() => { refresh().catch(() => { timer = setTimeout(scheduleRefresh, 10_000) }) }, Math.min(wait, 2_000_000_000))
}
scheduleRefresh()
