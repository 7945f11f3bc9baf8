import { connectChats, followChat, forgetChats } from '@/features/chat/stores/chats'
import { connectConversations, conversations, setQuiet } from '@/features/conversations/stores/conversations'
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
    followRunning(),
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

/** Answers that were being written before this page came: their dots must go out when they end. */
function followRunning(): () => void {
  let known = new Set<string>()
  return conversations.subscribe(() => {
    const running = conversations.get().items.filter((item) => item.running).map((item) => item.id)
    for (const id of running) if (!known.has(id)) void followChat(id).then((busy) => { if (!busy) setQuiet(id) })
    known = new Set(running)
  })
}
