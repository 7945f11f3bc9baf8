import type { Model } from '@/shared/types/wire'
import { away } from './state'

export type Group = 'here' | 'asleep' | 'away'
const HERE = ['ready', 'loading', 'queued', 'draining']
const groupOf = (model: Model): Group => (away(model) ? 'away' : HERE.includes(model.state) ? 'here' : 'asleep')

/** In memory first, then what loads when it is asked, then what cannot answer yet; empty groups are left out. */
export function groupsOf(models: Model[]): { group: Group; items: Model[] }[] {
  const groups: Group[] = ['here', 'asleep', 'away']
  return groups.map((group) => ({ group, items: models.filter((model) => groupOf(model) === group) })).filter(({ items }) => items.length > 0)
}
