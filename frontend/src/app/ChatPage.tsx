import { useChatModel } from '@/app/useChatModel'
import { ChatView } from '@/features/chat/components/ChatView'
import type { User } from '@/shared/types/wire'

export function ChatPage({ conversation, user }: { conversation: string | null; user: User }) {
  const { chat, model, lost, models, modelsKnown } = useChatModel(conversation)
  return <ChatView key={chat.key} chat={chat} models={models} model={model} lost={lost} modelsKnown={modelsKnown} userName={user.username} admin={user.is_admin} />
}
