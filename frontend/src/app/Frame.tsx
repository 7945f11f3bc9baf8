import { App as AntApp, Drawer } from 'antd'
import { lazy, Suspense, useEffect, useState } from 'react'
import { ChatPage } from '@/app/ChatPage'
import { ConnectionLine } from '@/app/ConnectionLine'
import { Header, type RoomName } from '@/app/Header'
import { Sidebar } from '@/app/Sidebar'
import { connectHouse } from '@/app/house'
import { chatOf } from '@/features/chat/stores/chats'
import { reasonOf } from '@/features/chat/stores/failures'
import { useT } from '@/shared/i18n'
import { narrow } from '@/shared/lib/media'
import { local } from '@/shared/lib/storage'
import { useStore } from '@/shared/lib/store'
import { conversationOf, navigate, usePath } from '@/shared/router'
import type { Model, User } from '@/shared/types/wire'

const ModelsPage = lazy(() => import('@/features/models/components/ModelsPage'))
const AddModelRoom = lazy(() => import('@/app/AddModelRoom'))
const FOLDED = 'hearth.folded'

/** A new conversation in which this model answers. */
function chatWith(model: Model): void {
  chatOf(null).pick.set(model.id)
  navigate('/')
}

/** Who may not add a model is shown those that there are. */
function roomOf(path: string, admin: boolean): RoomName {
  if (path === '/models' || path.startsWith('/models/')) return admin && /^\/models\/add(\/|$)/.test(path) ? 'add' : 'models'
  return 'chat'
}

/** The frame that every room shares: conversations left, header above, the room itself. */
export function Frame({ user }: { user: User }) {
  const { t } = useT()
  const { message } = AntApp.useApp()
  const path = usePath()
  const small = useStore(narrow)
  const [drawer, setDrawer] = useState(false)
  const [folded, setFolded] = useState(() => local.get(FOLDED) === 'yes')
  const active = conversationOf(path)

  useEffect(() => connectHouse((failure) => void message.error(reasonOf(failure, t))), [message, t])

  const fold = (next: boolean) => {
    setFolded(next)
    local.set(FOLDED, next ? 'yes' : 'no')
  }
  const side = <Sidebar user={user} active={active} onOpen={() => setDrawer(false)} onFold={small ? () => setDrawer(false) : () => fold(true)} />
  const room = roomOf(path, user.is_admin)
  return (
    <div className={small || folded ? 'frame' : 'frame frame-wide'}>
      {!small && !folded && <aside className="side" aria-label={t('nav.conversations')}>{side}</aside>}
      {small && (
        <Drawer open={drawer} onClose={() => setDrawer(false)} placement="left" size="min(320px, 88vw)" closable={false} rootClassName="side-drawer" aria-label={t('nav.conversations')}>
          {side}
        </Drawer>
      )}
      <div className="main">
        <Header room={room} active={active} showMenu={small || folded} onMenu={() => (small ? setDrawer(true) : fold(false))} />
        <ConnectionLine />
        <main className="room-box">
          <Suspense fallback={null}>
            {room === 'models' && <ModelsPage admin={user.is_admin} onAsk={chatWith} />}
            {room === 'add' && <AddModelRoom />}
          </Suspense>
          {room === 'chat' && <ChatPage conversation={active} user={user} />}
        </main>
      </div>
    </div>
  )
}
