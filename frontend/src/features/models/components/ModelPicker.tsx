import { CheckOutlined, DownOutlined, SettingOutlined } from '@ant-design/icons'
import { Button, Dropdown } from 'antd'
import { useT } from '@/shared/i18n'
import { useStore } from '@/shared/lib/store'
import { navigate } from '@/shared/router'
import type { Model } from '@/shared/types/wire'
import { models as store } from '../stores/models'
import { StateTag } from './StateTag'

interface Props { models: Model[]; current: Model | null; onPick: (id: string) => void }

/** The model that answers here, with its state; the menu has the others and the way to their page. */
export function ModelPicker({ models, current, onPick }: Props) {
  const { t } = useT()
  const waiting = useStore(store).state === 'loading'
  const items = models.map((model) => ({
    key: model.id,
    icon: model.id === current?.id ? <CheckOutlined /> : <span className="no-check" />,
    label: <span className="pick-row"><span className="pick-name">{model.name}</span><StateTag model={model} /></span>,
  }))
  return (
    <Dropdown trigger={['click']} placement="bottomLeft" classNames={{ root: 'pick-menu' }} menu={{
      items: [...items, ...(items.length > 0 ? [{ type: 'divider' as const }] : []), { key: '/models', icon: <SettingOutlined />, label: t('models.title') }],
      selectedKeys: current ? [current.id] : [],
      onClick: ({ key }) => { if (key === '/models') navigate('/models'); else onPick(key) },
    }}>
      <Button type="text" className="model-picker" data-testid="model-picker" data-state={current?.state} aria-label={current ? `${t('models.pick')}: ${current.name}` : t('models.pick')}>
        <span className="picker-name">{current?.name ?? (waiting ? '…' : t('models.none'))}</span>
        {current && <StateTag model={current} />}
        <DownOutlined className="picker-caret" />
      </Button>
    </Dropdown>
  )
}
