import { Button, Input } from 'antd'
import { useState, type KeyboardEvent } from 'react'
import { useT } from '@/shared/i18n'
import { touch } from '@/shared/lib/media'
import { useStore } from '@/shared/lib/store'

interface Props { text: string; busy: boolean; onSend: (text: string) => void; onCancel: () => void }

const ROWS = { minRows: 1, maxRows: 14 }

/** A question in the hands of its writer: Enter sends the new words, Escape leaves the old ones. */
export function EditBox({ text: old, busy, onSend, onCancel }: Props) {
  const { t } = useT()
  const fingers = useStore(touch)
  const [text, setText] = useState(old)
  const ready = !busy && text.trim() !== ''

  function send() {
    if (!ready) return
    if (text.trim() === old.trim()) onCancel()
    else onSend(text.trim())
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.nativeEvent.isComposing || event.keyCode === 229) return
    if (event.key === 'Escape') {
      event.stopPropagation()
      onCancel()
    } else if (event.key === 'Enter' && !event.shiftKey && !event.altKey && (!fingers || event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      send()
    }
  }

  return (
    <div className="edit-box">
      <Input.TextArea value={text} autoFocus autoSize={ROWS} maxLength={200_000} aria-label={t('chat.editLabel')} data-testid="edit-field"
        onChange={(event) => setText(event.target.value)} onKeyDown={onKeyDown} onFocus={({ target }) => target.setSelectionRange(target.value.length, target.value.length)} />
      <div className="edit-foot">
        <span className="edit-hint">{t('chat.editHint')}</span>
        <Button size="small" onClick={onCancel} data-testid="edit-cancel">{t('common.cancel')}</Button>
        <Button size="small" type="primary" disabled={!ready} onClick={send} data-testid="edit-send">{t('chat.send')}</Button>
      </div>
    </div>
  )
}
