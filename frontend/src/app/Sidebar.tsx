import { AppstoreOutlined, LogoutOutlined, MenuFoldOutlined, PlusOutlined } from '@ant-design/icons'
import { Button } from 'antd'
import { logOut } from '@/features/auth/api/auth'
import { forgetChat } from '@/features/chat/stores/chats'
import { ConversationList } from '@/features/conversations/components/ConversationList'
import { useT } from '@/shared/i18n'
import { tiny } from '@/shared/lib/media'
import { useStore } from '@/shared/lib/store'
import { currentPath, conversationPath, navigate, usePath } from '@/shared/router'
import type { User } from '@/shared/types/wire'
import { IconButton } from '@/shared/ui/IconButton'
import { Mark } from '@/shared/ui/Mark'
import { RouteLink } from '@/shared/ui/RouteLink'
import { LanguageToggle, ThemeToggle } from '@/shared/ui/toggles'

interface Props { user: User; active: string | null; onOpen: () => void; onFold: () => void }

export function Sidebar({ user, active, onOpen, onFold }: Props) {
  const { t } = useT()
  const path = usePath()
  const small = useStore(tiny)
  const leave = (id: string) => { if (currentPath() === conversationPath(id)) navigate('/') }
  return (
    <div className="side-inner">
      <div className="side-head">
        <RouteLink to="/" className="side-brand" onClick={onOpen}><Mark size={26} /><span>{t('app.name')}</span></RouteLink>
        <IconButton label={t('nav.collapse')} icon={<MenuFoldOutlined />} onClick={onFold} data-testid="fold-sidebar" />
      </div>
      <Button className="side-new" icon={<PlusOutlined />} block onClick={() => { navigate('/'); onOpen() }} data-testid="new-chat">{t('nav.new')}</Button>
      <nav className="side-list" aria-label={t('nav.conversations')}>
        <ConversationList active={active} onOpen={onOpen} onLeave={leave} onDeleted={forgetChat} />
      </nav>
      <div className="side-foot">
        <RouteLink to="/models" className={path.startsWith('/models') ? 'side-link side-link-active' : 'side-link'} onClick={onOpen} data-testid="nav-models"><AppstoreOutlined /> {t('models.title')}</RouteLink>
        {small && <div className="side-tools"><LanguageToggle /><ThemeToggle /></div>}
        <div className="side-user">
          <span className="avatar" aria-hidden="true">{[...user.username][0]?.toUpperCase()}</span>
          <span className="side-name" title={user.email}>{user.username}</span>
          <IconButton label={t('auth.logout')} icon={<LogoutOutlined />} onClick={() => void logOut()} data-testid="logout" />
        </div>
      </div>
    </div>
  )
}
