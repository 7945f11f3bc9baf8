import { useChatModel } from '@/app/useChatModel'
import { ChatView } from '@/features/chat/components/ChatView'
import type { User } from '@/shared/types/wire'

export function ChatPage({ conversation, user }: { conversation: string | null; user: User }) {
  const { chat, model, models, modelsKnown } = useChatModel(conversation)
  return <ChatView key={chat.key} chat={chat} models={models} model={model} modelsKnown={modelsKnown} userName={user.username} admin={user.is_admin} />
}
