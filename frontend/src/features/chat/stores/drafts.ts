import { local } from '@/shared/lib/storage'

/** What was typed and not sent yet, per conversation; it outlives reloads and goes at logout. */
const keyOf = (conversation: string | null): string => `hearth.draft.${conversation ?? 'new'}`

export const drafts = {
  read: (conversation: string | null): string => local.get(keyOf(conversation)) ?? '',
  write: (conversation: string | null, text: string): void => {
    if (text.trim()) local.set(keyOf(conversation), text)
    else local.remove(keyOf(conversation))
  },
}
