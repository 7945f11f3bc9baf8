import { PlusOutlined } from '@ant-design/icons'
import { Button, Empty, Result, Skeleton } from 'antd'
import { useT } from '@/shared/i18n'
import { useStore } from '@/shared/lib/store'
import { navigate } from '@/shared/router'
import type { Model } from '@/shared/types/wire'
import { Mark } from '@/shared/ui/Mark'
import { usePulse } from '../hooks/usePulse'
import { scaleOf } from '../stores/card'
import { models, refreshModels } from '../stores/models'
import { ModelCard } from './ModelCard'

interface Props {
  admin: boolean
  onAsk: (model: Model) => void
}

export default function ModelsPage({ admin, onAsk }: Props) {
  const { t } = useT()
  const { state, items } = useStore(models)
  const scale = scaleOf(items)
  usePulse()
  return (
    <div className="room" data-testid="models-page">
      <div className="room-inner">
        <div className="room-head">
          <p className="room-lead">{t(admin ? 'models.lead' : 'models.adminOnly')}</p>
          {admin && <AddModel />}
        </div>
        {state === 'loading' && <div className="model-grid" role="status" aria-label={t('models.reading')}>{[0, 1, 2].map((each) => <Skeleton key={each} active className="card-waits" />)}</div>}
        {state === 'failed' && <Result icon={<Mark size={56} />} title={t('models.failed')} subTitle={t('error.network')} extra={<Button onClick={() => void refreshModels()}>{t('common.retry')}</Button>} />}
        {state === 'ready' && items.length === 0 && <Empty image={<Mark size={56} />} description={t(admin ? 'models.noneAdmin' : 'models.noneUser')} />}
        <div className="model-grid">
          {items.map((model) => <ModelCard key={model.id} model={model} admin={admin} scale={scale} onAsk={onAsk} />)}
        </div>
      </div>
    </div>
  )
}

function AddModel() {
  const { t } = useT()
  return <Button type="primary" icon={<PlusOutlined />} onClick={() => navigate('/models/add')} data-testid="model-register">{t('models.add')}</Button>
}
