import { DownOutlined, EditOutlined, ReloadOutlined, RollbackOutlined } from '@ant-design/icons'
import { Button, Dropdown } from 'antd'
import { useT } from '@/shared/i18n'
import { navigate } from '@/shared/router'
import type { Failure, Model } from '@/shared/types/wire'
import { remediesFor } from '../stores/failures'

interface Props {
  failure: Failure | null
  models: Model[]
  /** The model that failed: not worth another choice. */
  failed: string | null
  /** The model that answered before this one was chosen. */
  before?: Model | null
  busy: boolean
  retryLabel: string
  onRetry: (model?: string) => void
  onShorten?: () => void
}

/** What helps against a failure, as buttons, the best one first. */
export function Remedies({ failure, models, failed, before = null, busy, retryLabel, onRetry, onShorten }: Props) {
  const { t } = useT()
  const others = models.filter((model) => model.id !== failed && model.name !== failed)
  const remedies = remediesFor(failure, { others: others.length > 0, shorten: onShorten !== undefined, back: before !== null })
  return remedies.map((remedy, index) => {
    const look = { size: 'small', type: index === 0 ? 'primary' : 'default' } as const
    switch (remedy) {
      case 'back': return before && <Button key={remedy} {...look} icon={<RollbackOutlined />} disabled={busy} onClick={() => onRetry(before.id)} data-testid="back-to-model">{t('chat.backTo', { model: before.name })}</Button>
      case 'retry': return <Button key={remedy} {...look} icon={<ReloadOutlined />} disabled={busy} onClick={() => onRetry()} data-testid="retry">{retryLabel}</Button>
      case 'shorten': return <Button key={remedy} {...look} icon={<EditOutlined />} disabled={busy} onClick={onShorten} data-testid="shorten">{t('chat.shorten')}</Button>
      case 'models': return <Button key={remedy} {...look} onClick={() => navigate('/models')} data-testid="to-models">{t('chat.toModels')}</Button>
      case 'choose': return (
        <Dropdown key={remedy} trigger={['click']} disabled={busy} menu={{
          items: others.map((model) => ({ key: model.id, label: `${model.name} · ${t(`models.state.${model.state}`)}` })),
          onClick: ({ key }) => onRetry(key),
        }}>
          <Button {...look} icon={<DownOutlined />} iconPlacement="end" disabled={busy} data-testid="choose-model">{t('chat.chooseModel')}</Button>
        </Dropdown>
      )
    }
  })
}
