import { connectChats, forgetChats } from '@/features/chat/stores/chats'
import { connectConversations } from '@/features/conversations/stores/conversations'
import { connectModels } from '@/features/models/stores/models'
import { currentPath, navigate } from '@/shared/router'
import { socket } from '@/shared/socket'
import type { Failure } from '@/shared/types/wire'

/** Opens the socket and lets the features listen, for as long as one person is signed in. */
export function connectHouse(refused: (failure: Failure) => void): () => void {
  const stops = [
    connectChats({
      // Only who still looks at the new chat is taken along to its address.
      named: (_chat, conversation) => { if (currentPath() === '/') navigate(`/c/${encodeURIComponent(conversation)}`, { replace: true }) },
      refused,
    }),
    connectConversations(),
    connectModels(),
  ]
  socket.start()
  return () => {
    socket.stop()
    for (const stop of stops) stop()
    forgetChats()
  }
}
