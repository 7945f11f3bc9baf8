import type { HubName } from './types'

/** Where in the room one is. Each place has an address, so that the back button and a reload keep it. */
export type Way = 'catalogue' | 'search' | 'machine' | 'endpoint'
export type Place = { way: Way; repo: null } | { way: 'search'; repo: { hub: HubName; repo: string } }

export const ROOM = '/models/add'
const WAYS: readonly string[] = ['search', 'machine', 'endpoint']

export const isHub = (text: string | undefined): text is HubName => text === 'modelscope' || text === 'huggingface'

export function placeOf(path: string): Place {
  const [first, owner, name] = path.slice(ROOM.length).split('/').filter(Boolean).map(decodeURIComponent)
  if (isHub(first) && owner && name) return { way: 'search', repo: { hub: first, repo: `${owner}/${name}` } }
  return { way: first && WAYS.includes(first) ? (first as Way) : 'catalogue', repo: null }
}

export const wayPath = (way: Way): string => (way === 'catalogue' ? ROOM : `${ROOM}/${way}`)
export const repoPath = (hub: HubName, repo: string): string => `${ROOM}/${hub}/${repo.split('/').map(encodeURIComponent).join('/')}`

const ID = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/
const HOSTS: [RegExp, HubName][] = [[/(^|\.)modelscope\.(cn|ai)$/, 'modelscope'], [/(^|\.)(huggingface\.co|hf\.co|hf-mirror\.com)$/, 'huggingface']]

/** What someone pasted as a repository: an id like Qwen/Qwen3-0.6B (hub null: the one chosen), or the address of a hub's page. */
export function repoIn(text: string): { hub: HubName | null; repo: string } | null {
  const told = text.trim()
  if (ID.test(told)) return { hub: null, repo: told }
  if (!/^https?:\/\//i.test(told) || !URL.canParse(told)) return null
  const { hostname, pathname } = new URL(told)
  const hub = HOSTS.find(([host]) => host.test(hostname))?.[1]
  const steps = pathname.split('/').filter(Boolean)
  const repo = (steps[0] === 'models' ? steps.slice(1) : steps).slice(0, 2).join('/')
  return hub && ID.test(repo) ? { hub, repo } : null
}
