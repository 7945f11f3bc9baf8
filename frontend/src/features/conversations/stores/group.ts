import type { Conversation } from '@/shared/types/wire'

export type GroupName = 'pinned' | 'today' | 'yesterday' | 'week' | 'older'
export interface Group { name: GroupName; items: Conversation[] }

const ORDER: GroupName[] = ['pinned', 'today', 'yesterday', 'week', 'older']
export const timeOf = (conversation: Conversation): number => Date.parse(conversation.updated ?? conversation.created ?? '') || 0

/** By the reader's own calendar; a week begins on Monday. Newest first inside each group, empty groups left out. */
export function grouped(conversations: Conversation[], now: Date): Group[] {
  const midnight = (daysAgo: number): number => new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysAgo).getTime()
  const today = midnight(0)
  const yesterday = midnight(1)
  const monday = midnight((now.getDay() + 6) % 7)
  const nameOf = (conversation: Conversation): GroupName => {
    const time = timeOf(conversation)
    if (conversation.pinned) return 'pinned'
    if (time >= today) return 'today'
    if (time >= yesterday) return 'yesterday'
    return time >= monday ? 'week' : 'older'
  }
  const sorted = [...conversations].sort((a, b) => timeOf(b) - timeOf(a))
  return ORDER.map((name) => ({ name, items: sorted.filter((item) => nameOf(item) === name) })).filter((group) => group.items.length > 0)
}
