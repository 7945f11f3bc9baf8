import { MessageOutlined } from '@ant-design/icons'
import { Alert, Button } from 'antd'
import { useT } from '@/shared/i18n'
import { navigate } from '@/shared/router'
import type { Model } from '@/shared/types/wire'

/** A model was added: what next. */
export function Added({ model, onChat }: { model: Model; onChat: (model: string) => void }) {
  const { t } = useT()
  return (
    <Alert className="form-alert" type="success" showIcon title={t('hub.added', { name: model.name })} data-testid="hub-added" action={(
      <span className="hub-twin">
        <Button size="small" type="primary" icon={<MessageOutlined />} onClick={() => onChat(model.id)} data-testid="added-chat">{t('hub.chat')}</Button>
        <Button size="small" onClick={() => navigate('/models')}>{t('hub.added.models')}</Button>
      </span>
    )} />
  )
}
