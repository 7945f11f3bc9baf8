import { ApiError } from '@/shared/api/errors'
import { useT, type Key } from '@/shared/i18n'
import type { HubName } from '../types'
import { ENDPOINT_VARIABLE, hubTitle, TOKEN_VARIABLE } from './useHubs'

const SAID: Record<string, Key | undefined> = {
  hub_unreachable: 'hub.fail.hub_unreachable',
  hub_busy: 'hub.fail.hub_busy',
  hub_error: 'hub.fail.hub_error',
  repo_not_found: 'hub.fail.repo_not_found',
  repo_gated: 'hub.fail.repo_gated',
}

/** What went wrong with a hub and what helps, with the names that a person has to type. */
export function useHubProblem(): (error: { code: string } | unknown, hub: HubName, repo?: string) => string {
  const { t, problem } = useT()
  return (error, hub, repo = '') => {
    const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
    const key = SAID[code]
    if (key) return t(key, { hub: hubTitle(hub), repo, variable: code === 'repo_gated' ? TOKEN_VARIABLE[hub] : ENDPOINT_VARIABLE[hub] })
    return error instanceof ApiError && error.status >= 500 && error.message ? error.message : problem(error)
  }
}
