import { session } from '@/shared/api/session'
import { useStore } from '@/shared/lib/store'
import type { Model } from '@/shared/types/wire'
import { isMine } from '../stores/card'

/** Whether the reader chose this model as a default of their own; `default_for_me` is also true of the house's. */
export const useMine = (model: Model): boolean => isMine(model, useStore(session)?.user)
