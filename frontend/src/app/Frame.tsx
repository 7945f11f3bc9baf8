import { App as AntApp, Drawer } from 'antd'
import { lazy, Suspense, useEffect, useState } from 'react'
import { ChatPage } from '@/app/ChatPage'
import { ConnectionLine } from '@/app/ConnectionLine'
import { Header } from '@/app/Header'
import { Sidebar } from '@/app/Sidebar'
import { connectHouse } from '@/app/house'
import { reasonOf } from '@/features/chat/stores/failures'
import { useT } from '@/shared/i18n'
import { narrow } from '@/shared/lib/media'
import { local } from '@/shared/lib/storage'
import { useStore } from '@/shared/lib/store'
import { conversationOf, usePath } from '@/shared/router'
import type { User } from '@/shared/types/wire'

const ModelsPage = lazy(() => import('@/features/models/components/ModelsPage'))
const FOLDED = 'hearth.folded'

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
  const room = path === '/models' ? 'models' : 'chat'
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
          {room === 'models'
            ? <Suspense fallback={null}><ModelsPage admin={user.is_admin} /></Suspense>
            : <ChatPage conversation={active} user={user} />}
        </main>
      </div>
    </div>
  )
}
