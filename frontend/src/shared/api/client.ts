import { ApiError, errorOf } from '@/shared/api/errors'
import { refresh, session } from '@/shared/api/session'
import { language } from '@/shared/prefs'

interface Options { method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'; body?: unknown; anonymous?: boolean; keepalive?: boolean }

async function send(path: string, options: Options): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json', 'Accept-Language': language.get() === 'zh' ? 'zh-CN' : 'en' }
  if (options.body !== undefined) headers['Content-Type'] = 'application/json'
  const access = options.anonymous ? undefined : session.get()?.access
  if (access) headers.Authorization = `Bearer ${access}`
  try {
    return await fetch(path, {
      method: options.method ?? 'GET',
      headers,
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      keepalive: options.keepalive,
    })
  } catch {
    throw new ApiError(0, 'network', '')
  }
}

/** One call to the API. A 401 is answered once with a refreshed token; refusals are thrown as ApiError. */
export async function api<T>(path: string, options: Options = {}): Promise<T> {
  let response = await send(path, options)
  if (response.status === 401 && !options.anonymous && session.get() && (await refresh())) response = await send(path, options)
  if (!response.ok) throw await errorOf(response)
  if (response.status === 204 || response.headers.get('content-length') === '0') return undefined as T
  return (await response.json()) as T
}
