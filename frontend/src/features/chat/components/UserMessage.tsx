import { CheckOutlined, CopyOutlined, ReloadOutlined } from '@ant-design/icons'
import { Button } from 'antd'
import { memo } from 'react'
import { useT } from '@/shared/i18n'
import { IconButton } from '@/shared/ui/IconButton'
import { useCopied } from '@/shared/ui/useCopied'
import { reasonOf } from '../stores/status'
import { textOf, type Entry } from '../stores/transcript'

export const UserMessage = memo(function UserMessage({ entry, onResend }: { entry: Entry; onResend: (key: string) => void }) {
  const { t } = useT()
  const [copied, copy] = useCopied()
  const text = textOf(entry.message)
  const unsent = entry.delivery?.state === 'unsent' ? entry.delivery.error : null
  return (
    <article className="message message-user" data-testid="message-user" data-id={entry.message.id} aria-label={t('chat.you')}>
      <div className="user-row">
        <IconButton className="user-copy" size="small" label={copied ? t('common.copied') : t('chat.copyMessage')} icon={copied ? <CheckOutlined /> : <CopyOutlined />} onClick={() => void copy(text)} />
        <div className="user-text">{text}</div>
      </div>
      {unsent && (
        <div className="status-line status-bad" role="alert">
          <span className="status-dot" aria-hidden="true" />
          <span className="status-text">{t('chat.sendFailed', { message: reasonOf(unsent, t) })}</span>
          <Button size="small" icon={<ReloadOutlined />} onClick={() => onResend(entry.key)} data-testid="resend">{t('common.retry')}</Button>
        </div>
      )}
    </article>
  )
})
