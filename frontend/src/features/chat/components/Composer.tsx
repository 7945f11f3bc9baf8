import { ArrowUpOutlined } from '@ant-design/icons'
import { Sender } from '@ant-design/x'
import { Button, Input, type GetProps } from 'antd'
import { useEffect, useRef, useState, type ComponentRef, type KeyboardEvent, type ReactNode } from 'react'
import { useT } from '@/shared/i18n'
import { touch } from '@/shared/lib/media'
import { useStore } from '@/shared/lib/store'
import { drafts } from '../stores/drafts'

/** Sender puts its data attributes on its frame and its field alike; this name belongs to the field only. */
function Field(props: GetProps<typeof Input.TextArea>) {
  return <Input.TextArea {...props} data-testid="composer" aria-label={props.placeholder} maxLength={200_000} />
}
const PARTS = { input: Field }
const ROWS = { minRows: 1, maxRows: 8 }

interface Props {
  conversation: string | null; model: string | null; busy: boolean; seed: { text: string } | null
  /** The writer is at another field; when they come back the composer has the cursor again. */
  away: boolean
  onSend: (text: string) => void
  onStop: () => void
  /** Arrow-up in the empty field: take up the last question again. */
  onLast: () => void
  /** What is worth knowing before one asks. */
  note?: ReactNode
}

export function Composer({ conversation, model, busy, seed, away, onSend, onStop, onLast, note }: Props) {
  const { t } = useT()
  const fingers = useStore(touch)
  const [text, setText] = useState(() => drafts.read(conversation))
  const field = useRef<ComponentRef<typeof Sender>>(null)

  const change = (next: string) => {
    setText(next)
    drafts.write(conversation, next)
  }

  useEffect(() => { if (!fingers && !away) field.current?.focus() }, [fingers, away])
  const [seen, setSeen] = useState(seed)
  if (seed !== seen) {
    setSeen(seed)
    if (seed) setText(seed.text)
  }
  useEffect(() => {
    if (!seed) return
    field.current?.focus({ cursor: 'end' })
  }, [seed])

  function submit() {
    const content = text.trim()
    if (!content || busy) return
    drafts.write(conversation, content) // kept until the server has it
    setText('')
    onSend(content)
    field.current?.focus()
  }

  function onKeyDown(event: KeyboardEvent): void | false {
    // 229 is what an input method sends on browsers that forget `isComposing`.
    if (event.nativeEvent.isComposing || event.keyCode === 229) return false
    if (event.key === 'ArrowUp' && !text && !busy) {
      event.preventDefault()
      onLast()
      return false
    }
    if (event.key !== 'Enter' || event.shiftKey || event.altKey) return undefined
    if (fingers && !event.ctrlKey && !event.metaKey) return false
    event.preventDefault()
    submit() // Sender's own Enter works only with its own button
    return false
  }

  return (
    <div className="composer">
      {note}
      <Sender ref={field} className="composer-box" components={PARTS} autoSize={ROWS} value={text} onChange={change} onKeyDown={onKeyDown}
        placeholder={model ? t('chat.placeholderModel', { model }) : t('chat.placeholder')}
        suffix={busy
          ? <Button type="primary" shape="circle" className="round" aria-label={t('chat.stop')} title={t('chat.stop')} onClick={onStop} data-testid="stop" icon={<span className="stop-square" aria-hidden="true" />} />
          : <Button type="primary" shape="circle" className="round" aria-label={t('chat.send')} title={t('chat.send')} disabled={!text.trim()} onClick={submit} data-testid="send" icon={<ArrowUpOutlined />} />} />
      <div className="composer-hint" aria-hidden="true">{fingers ? '' : t('chat.hint')}</div>
    </div>
  )
}
