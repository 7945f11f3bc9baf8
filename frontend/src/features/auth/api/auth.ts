import { api } from '@/shared/api/client'
import { adopt, forget, session, type Tokens } from '@/shared/api/session'
import type { Language } from '@/shared/prefs'
import type { HouseState, User } from '@/shared/types/wire'

export const houseState = (): Promise<HouseState> => api('/api/auth/state/', { anonymous: true })

export async function logIn(username: string, password: string): Promise<void> {
  const tokens = await api<Tokens>('/api/auth/token/', { method: 'POST', anonymous: true, body: { grant_type: 'password', username, password } })
  adopt(tokens, null)
  await loadMe()
}

/** False: the account exists now but waits for an administrator. */
export async function register(username: string, email: string, password: string): Promise<boolean> {
  const made = await api<Partial<Tokens> & { user: User }>('/api/auth/register/', { method: 'POST', anonymous: true, body: { username, email, password } })
  if (!made.access_token || !made.refresh_token) return false
  adopt({ access_token: made.access_token, refresh_token: made.refresh_token, expires_in: made.expires_in ?? 300 }, made.user)
  return true
}

export async function loadMe(): Promise<void> {
  const user = await api<User>('/api/auth/me/')
  session.update((value) => value && { ...value, user })
}

/** The server answers over the socket in the language of the person, so it has to know the page's. */
export async function saveLanguage(lang: Language, user: User): Promise<void> {
  const wanted = lang === 'zh' ? 'zh-hans' : 'en'
  if (user.language === wanted) return
  const next = await api<User>('/api/auth/me/', { method: 'PATCH', body: { language: wanted } })
  session.update((value) => value && { ...value, user: next })
}

export async function logOut(): Promise<void> {
  const token = session.get()?.refresh
  forget()
  if (!token) return
  // Signed out here in any case; the family ends on the server as soon as it can be reached.
  await api('/api/auth/revoke/', { method: 'POST', anonymous: true, body: { token }, keepalive: true }).catch(() => undefined)
}
