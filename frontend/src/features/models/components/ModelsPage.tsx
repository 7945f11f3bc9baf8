import { Button, Empty, Result, Skeleton } from 'antd'
import { useT } from '@/shared/i18n'
import { useStore } from '@/shared/lib/store'
import { Mark } from '@/shared/ui/Mark'
import { models, refreshModels } from '../stores/models'
import { ModelCard } from './ModelCard'
import { RegisterModel } from './RegisterModel'

export default function ModelsPage({ admin }: { admin: boolean }) {
  const { t } = useT()
  const { state, items } = useStore(models)
  return (
    <div className="room" data-testid="models-page">
      <div className="room-inner">
        <div className="room-head">
          <p className="room-lead">{t(admin ? 'models.lead' : 'models.adminOnly')}</p>
          {admin && <RegisterModel />}
        </div>
        {state === 'loading' && <Skeleton active />}
        {state === 'failed' && <Result icon={<Mark size={56} />} title={t('models.failed')} subTitle={t('error.network')} extra={<Button onClick={() => void refreshModels()}>{t('common.retry')}</Button>} />}
        {state === 'ready' && items.length === 0 && <Empty description={t(admin ? 'models.noneAdmin' : 'models.noneUser')} />}
        <div className="model-grid">
          {items.map((model) => <ModelCard key={model.id} model={model} canChange={admin} />)}
        </div>
      </div>
    </div>
  )
}
