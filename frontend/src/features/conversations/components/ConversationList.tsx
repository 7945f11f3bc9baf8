import { App, Button, Skeleton } from 'antd'
import { useMemo, useState } from 'react'
import { useT, type Key } from '@/shared/i18n'
import { useStore } from '@/shared/lib/store'
import type { Conversation } from '@/shared/types/wire'
import { conversations, moreConversations, refreshConversations, remove, rename } from '../stores/conversations'
import { grouped, type GroupName } from '../stores/group'
import { isRunningIn, visible } from '../stores/list'
import { ConversationItem } from './ConversationItem'

const LABELS: Record<GroupName, Key> = { pinned: 'list.pinned', today: 'list.today', yesterday: 'list.yesterday', week: 'list.week', older: 'list.older' }

interface Props { active: string | null; onOpen: () => void; onLeave: (id: string) => void; onDeleted: (id: string) => void }

/** `onLeave`: a conversation was taken out of sight (undo is still possible). `onDeleted`: it is gone for good. */
export function ConversationList({ active, onOpen, onLeave, onDeleted }: Props) {
  const { t, problem } = useT()
  const { message, notification } = App.useApp()
  const list = useStore(conversations)
  const [busy, setBusy] = useState(false)
  const shown = useMemo(() => visible(list), [list])
  const groups = useMemo(() => grouped(shown, new Date()), [shown])

  function onDelete(conversation: Conversation) {
    const key = `undo-${conversation.id}`
    const undo = remove(conversation.id, { done: () => onDeleted(conversation.id), failed: (error) => void message.error(problem(error)) })
    onLeave(conversation.id)
    notification.open({
      key, duration: 6, placement: 'top', title: t('list.deleted', { title: conversation.title || t('list.untitled') }),
      actions: <Button size="small" data-testid="undo" onClick={() => { undo(); notification.destroy(key) }}>{t('common.undo')}</Button>,
    })
  }

  const more = () => { setBusy(true); moreConversations().catch((error: unknown) => void message.error(problem(error))).finally(() => setBusy(false)) }

  if (list.state === 'loading') return <Skeleton className="list-waits" active title={false} paragraph={{ rows: 6 }} />
  if (list.state === 'failed') {
    return <div className="list-note"><p>{t('list.failed')}</p><Button size="small" onClick={() => void refreshConversations()}>{t('common.retry')}</Button></div>
  }
  if (shown.length === 0) return <p className="list-note">{t('list.empty')}</p>
  return (
    <div className="list">
      {groups.map((group) => (
        <section key={group.name} aria-label={t(LABELS[group.name])}>
          <h2 className="list-group">{t(LABELS[group.name])}</h2>
          <ul>
            {group.items.map((item) => (
              <ConversationItem key={item.id} conversation={item} active={item.id === active} running={isRunningIn(list, item)} onOpen={onOpen}
                onRename={(title) => { rename(item, title).catch((error: unknown) => void message.error(problem(error))) }} onDelete={() => onDelete(item)} />
            ))}
          </ul>
        </section>
      ))}
      {list.next && <Button type="text" block size="small" loading={busy} onClick={more}>{t('list.more')}</Button>}
    </div>
  )
}
