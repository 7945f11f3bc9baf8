import { ApiOutlined, CloseCircleOutlined, DeleteOutlined, HomeOutlined, MessageOutlined, PoweroffOutlined, PushpinOutlined, SettingOutlined, StarOutlined, TeamOutlined } from '@ant-design/icons'
import type { MenuProps } from 'antd'
import type { ReactNode } from 'react'
import type { Translator } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'
import type { Primary } from '../stores/card'
import { away } from '../stores/state'

export type Entry = 'ask' | 'default' | 'mine' | 'pin' | 'settings' | 'call' | 'access' | 'enable' | 'cancelDownload' | 'delete'

/** What else can be done with it, by who looks and what it is. */
export function menuOf(model: Model, { admin, mine, first }: { admin: boolean; mine: boolean; first: Primary | null }, t: Translator['t']): MenuProps['items'] {
  const item = (key: Entry, icon: ReactNode, label: string, more: object = {}) => ({ key, icon, label: <span data-testid={`model-menu-${key}`}>{label}</span>, ...more })
  const usable = model.enabled !== false
  const own = [
    ...(usable && !away(model) && first !== 'ask' ? [item('ask', <MessageOutlined />, t('models.ask'))] : []),
    ...(usable ? [item('mine', <StarOutlined />, t(mine ? 'models.notMyDefault' : 'models.makeMyDefault'))] : []),
    ...(usable ? [item('call', <ApiOutlined />, t('models.call'))] : []),
  ]
  if (!admin) return own
  return [
    ...own,
    { type: 'divider' },
    ...(model.is_default || !usable ? [] : [item('default', <HomeOutlined />, t('models.makeDefault'))]),
    item('settings', <SettingOutlined />, t('models.settings')),
    item('access', <TeamOutlined />, t('models.accessEdit')),
    item('pin', <PushpinOutlined />, t(model.pinned ? 'models.unpin' : 'models.pin')),
    item('enable', <PoweroffOutlined />, t(usable ? 'models.switchOff' : 'models.switchOn')),
    { type: 'divider' },
    ...(first === 'pause' || first === 'resume' ? [item('cancelDownload', <CloseCircleOutlined />, t('models.cancelDownload'))] : []),
    item('delete', <DeleteOutlined />, t('models.delete'), { danger: true }),
  ]
}
