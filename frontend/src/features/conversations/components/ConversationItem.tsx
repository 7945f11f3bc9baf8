import { DeleteOutlined, EditOutlined, MoreOutlined } from '@ant-design/icons'
import { Button, Dropdown, Input, type InputRef } from 'antd'
import { useEffect, useRef, useState } from 'react'
import { tagOf, useT } from '@/shared/i18n'
import { conversationPath } from '@/shared/router'
import type { Conversation } from '@/shared/types/wire'
import { RouteLink } from '@/shared/ui/RouteLink'
import { timeOf } from '../stores/group'

interface Props {
  conversation: Conversation; active: boolean; running: boolean
  onOpen: () => void; onRename: (title: string) => void; onDelete: () => void
}

export function ConversationItem({ conversation, active, running, onOpen, onRename, onDelete }: Props) {
  const { t, lang } = useT()
  const [naming, setNaming] = useState(false)
  const title = conversation.title || t('list.untitled')
  const time = timeOf(conversation)
  return (
    <li className={active ? 'item item-active' : 'item'} data-testid="conversation-item" data-id={conversation.id}>
      {naming
        ? <Namer title={conversation.title} onDone={(next) => { setNaming(false); if (next && next !== conversation.title) onRename(next) }} />
        : (
            <>
              <RouteLink className="item-link" to={conversationPath(conversation.id)} onClick={onOpen} aria-current={active ? 'page' : undefined}
                title={time ? `${title}\n${new Date(time).toLocaleString(tagOf(lang))}` : title} onDoubleClick={() => setNaming(true)}>
                {running && <span className="running-dot" role="img" aria-label={t('list.running')} title={t('list.running')} />}
                <span className="item-title">{title}</span>
              </RouteLink>
              <Dropdown trigger={['click']} placement="bottomRight" menu={{
                items: [
                  { key: 'rename', icon: <EditOutlined />, label: t('list.rename') },
                  { key: 'delete', icon: <DeleteOutlined />, label: t('list.delete'), danger: true },
                ],
                onClick: ({ key, domEvent }) => {
                  domEvent.stopPropagation()
                  if (key === 'rename') setNaming(true)
                  else onDelete()
                },
              }}>
                <Button className="item-more" type="text" size="small" icon={<MoreOutlined />} aria-label={t('list.actions', { title })} data-testid="conversation-actions" />
              </Dropdown>
            </>
          )}
    </li>
  )
}

/** Enter keeps, Escape leaves it as it was, and so does an empty name. */
function Namer({ title, onDone }: { title: string; onDone: (title: string | null) => void }) {
  const { t } = useT()
  const [text, setText] = useState(title)
  const input = useRef<InputRef>(null)
  const over = useRef(false)
  useEffect(() => {
    // The menu gives the focus back to its button when it has closed; take it after that.
    const frame = requestAnimationFrame(() => input.current?.focus({ cursor: 'all' }))
    return () => cancelAnimationFrame(frame)
  }, [])
  const done = (next: string | null) => {
    if (over.current) return
    over.current = true
    onDone(next)
  }
  return (
    <Input ref={input} size="small" className="item-namer" value={text} maxLength={200} aria-label={t('list.renameLabel')} data-testid="conversation-rename"
      onChange={(event) => setText(event.target.value)} onBlur={() => done(text.trim())}
      onKeyDown={(event) => {
        if (event.nativeEvent.isComposing) return
        if (event.key === 'Enter') done(text.trim())
        if (event.key === 'Escape') { event.stopPropagation(); done(null) }
      }} />
  )
}
