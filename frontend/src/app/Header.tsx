import { EditOutlined, MenuOutlined } from '@ant-design/icons'
import { App } from 'antd'
import { useEffect } from 'react'
import { useChatModel } from '@/app/useChatModel'
import { conversations, setModel } from '@/features/conversations/stores/conversations'
import { ModelPicker } from '@/features/models/components/ModelPicker'
import { useT } from '@/shared/i18n'
import { tiny } from '@/shared/lib/media'
import { useStore } from '@/shared/lib/store'
import { navigate } from '@/shared/router'
import { IconButton } from '@/shared/ui/IconButton'
import { LanguageToggle, ThemeToggle } from '@/shared/ui/toggles'

export type RoomName = 'chat' | 'models' | 'add'
interface Props { room: RoomName; active: string | null; showMenu: boolean; onMenu: () => void }

export function Header({ room, active, showMenu, onMenu }: Props) {
  const { t } = useT()
  const small = useStore(tiny)
  const list = useStore(conversations)
  const title = room === 'models' ? t('models.title') : room === 'add' ? t('hub.title') : (list.items.find((item) => item.id === active)?.title ?? '')
  useEffect(() => { document.title = title ? `${title} · ${t('app.name')}` : t('app.name') }, [title, t])
  return (
    <header className="head">
      {showMenu && <IconButton label={t('nav.open')} icon={<MenuOutlined />} onClick={onMenu} data-testid="open-sidebar" />}
      {room === 'chat' ? <Picker active={active} /> : <h1 className="head-room">{title}</h1>}
      <h1 className="head-title" hidden={room !== 'chat'} title={title}>{room === 'chat' ? title : ''}</h1>
      <div className="head-tools">
        {showMenu && <IconButton label={t('nav.new')} icon={<EditOutlined />} onClick={() => navigate('/')} data-testid="new-chat-head" />}
        {!small && <LanguageToggle />}
        {!small && <ThemeToggle />}
      </div>
    </header>
  )
}

function Picker({ active }: { active: string | null }) {
  const { chat, model, models } = useChatModel(active)
  const { problem } = useT()
  const { message } = App.useApp()
  const pick = (id: string) => {
    chat.pick.set(id)
    if (active !== null) setModel(active, id).catch((error: unknown) => void message.error(problem(error)))
  }
  return <ModelPicker models={models} current={model} onPick={pick} />
}
