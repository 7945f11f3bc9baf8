import { useMemo } from 'react'
import { chatOf } from '@/features/chat/stores/chats'
import type { Chat } from '@/features/chat/stores/chat'
import { conversations } from '@/features/conversations/stores/conversations'
import { models } from '@/features/models/stores/models'
import { defaultModel, findModel, usable } from '@/features/models/stores/state'
import { useStore } from '@/shared/lib/store'
import type { Model } from '@/shared/types/wire'

/** The chat at this address and the model that answers in it: picked by hand, else the conversation's, else the default. `lost` names one that is gone. */
export function useChatModel(conversation: string | null): { chat: Chat; model: Model | null; lost: string; models: Model[]; modelsKnown: boolean } {
  const chat = chatOf(conversation)
  const picked = useStore(chat.pick)
  const known = useStore(models)
  const list = useStore(conversations)
  const own = list.items.find((item) => item.id === conversation)
  const model = findModel(known, picked) ?? findModel(known, own?.model) ?? defaultModel(known)
  return { chat, model, lost: picked ? '' : own?.lost_model ?? '', modelsKnown: known.state !== 'loading', models: useMemo(() => usable(known), [known]) }
}
