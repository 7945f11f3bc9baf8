import { CheckOutlined, CopyOutlined, EditOutlined } from '@ant-design/icons'
import { memo } from 'react'
import { useT } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'
import { IconButton } from '@/shared/ui/IconButton'
import { useCopied } from '@/shared/ui/useCopied'
import { reasonOf } from '../stores/failures'
import { textOf, type Entry } from '../stores/transcript'
import { EditBox } from './EditBox'
import { Remedies } from './Remedies'
import { Versions } from './Versions'

interface Props {
  entry: Entry; models: Model[]; busy: boolean; editing: boolean
  /** Null: leave the words as they are. */
  onEditing: (message: string | null) => void
  onEdit: (message: string, content: string) => void
  onShow: (message: string) => void
  onResend: (key: string, model?: string) => void
}

export const UserMessage = memo(function UserMessage({ entry, models, busy, editing, onEditing, onEdit, onShow, onResend }: Props) {
  const { t } = useT()
  const [copied, copy] = useCopied()
  const { message } = entry
  const text = textOf(message)
  const unsent = entry.delivery?.state === 'unsent' ? entry.delivery.error : null
  return (
    <article className="message message-user" data-testid="message-user" data-id={message.id} aria-label={t('chat.you')}>
      {editing
        ? <EditBox text={text} busy={busy} onSend={(words) => onEdit(message.id, words)} onCancel={() => onEditing(null)} />
        : <div className="user-text">{text}</div>}
      {!editing && (
        <div className="user-actions">
          <IconButton size="small" label={copied ? t('common.copied') : t('chat.copyMessage')} icon={copied ? <CheckOutlined /> : <CopyOutlined />} onClick={() => void copy(text)} />
          {!entry.delivery && <IconButton size="small" label={t('chat.edit')} icon={<EditOutlined />} disabled={busy} onClick={() => onEditing(message.id)} data-testid="edit" />}
          {!entry.delivery && <Versions id={message.id} siblings={message.siblings} busy={busy} onShow={onShow} />}
        </div>
      )}
      {unsent && (
        <div className="status-line status-bad" role="alert">
          <span className="status-dot" aria-hidden="true" />
          <span className="status-text">{t('chat.sendFailed', { message: reasonOf(unsent, t) })}</span>
          <span className="remedies"><Remedies failure={unsent} models={models} failed={null} busy={busy} retryLabel={t('common.retry')} onRetry={(model) => onResend(entry.key, model)} /></span>
        </div>
      )}
    </article>
  )
})
