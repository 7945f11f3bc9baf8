import { CheckOutlined, DownOutlined, SettingOutlined } from '@ant-design/icons'
import { Button, Dropdown } from 'antd'
import { useT } from '@/shared/i18n'
import { useStore } from '@/shared/lib/store'
import { navigate } from '@/shared/router'
import type { Model } from '@/shared/types/wire'
import { useMine } from '../hooks/useMine'
import { models as store } from '../stores/models'
import { groupsOf } from '../stores/pick'
import { StateTag } from './StateTag'

interface Props { models: Model[]; current: Model | null; onPick: (id: string) => void }

/** The model that answers here, with its state; the menu has the others, by what asking them would take. */
export function ModelPicker({ models, current, onPick }: Props) {
  const { t } = useT()
  const waiting = useStore(store).state === 'loading'
  const item = (model: Model) => ({
    key: model.id,
    icon: model.id === current?.id ? <CheckOutlined /> : <span className="no-check" />,
    label: <span className="pick-row"><span className="pick-name">{model.name}{' '}<Mine model={model} /></span><StateTag model={model} /></span>,
  })
  const groups = groupsOf(models).map(({ group, items }) => ({
    key: group, type: 'group' as const, label: t(`models.group.${group}`),
    children: items.map((model) => ({ ...item(model), disabled: group === 'away' })),
  }))
  return (
    <Dropdown trigger={['click']} placement="bottomLeft" classNames={{ root: 'pick-menu' }} menu={{
      items: [...groups, ...(groups.length > 0 ? [{ type: 'divider' as const }] : []), { key: '/models', icon: <SettingOutlined />, label: t('models.title') }],
      selectedKeys: current ? [current.id] : [],
      onClick: ({ key }) => { if (key === '/models') navigate('/models'); else onPick(key) },
    }}>
      <Button type="text" className="model-picker" data-testid="model-picker" data-state={current?.state} aria-label={current ? `${t('models.pick')}: ${current.name}` : t('models.pick')}>
        <span className="picker-name">{current?.name ?? (waiting ? '…' : t('models.none'))}</span>
        {current && <StateTag model={current} asked />}
        <DownOutlined className="picker-caret" />
      </Button>
    </Dropdown>
  )
}

/** Whose default it is: the reader's own says more than the house's. */
function Mine({ model }: { model: Model }) {
  const { t } = useT()
  if (useMine(model)) return <span className="pick-mark">{t('models.myDefault')}</span>
  return model.is_default ? <span className="pick-mark">{t('models.default')}</span> : null
}
