import { ArrowDownOutlined } from '@ant-design/icons'
import { App, Button, Result, Skeleton } from 'antd'
import { useCallback, useEffect, useMemo, useState } from 'react'
import { useT } from '@/shared/i18n'
import { useStore } from '@/shared/lib/store'
import { navigate } from '@/shared/router'
import type { Model } from '@/shared/types/wire'
import { Mark } from '@/shared/ui/Mark'
import { IconButton } from '@/shared/ui/IconButton'
import { useFollow } from '../hooks/useFollow'
import type { Chat } from '../stores/chat'
import { modelBefore } from '../stores/failures'
import { lastQuestion, runningEntry, type Transcript } from '../stores/transcript'
import { AssistantMessage } from './AssistantMessage'
import { Composer } from './Composer'
import { Greeting } from './Greeting'
import { LostModel } from './LostModel'
import { ModelNote } from './ModelNote'
import { UserMessage } from './UserMessage'

interface Props { chat: Chat; models: Model[]; model: Model | null; lost: string; modelsKnown: boolean; userName: string; admin: boolean }

/** One conversation: its messages, and the composer below. Mount it with `key={chat.key}`. */
export function ChatView({ chat, models, model, lost, modelsKnown, userName, admin }: Props) {
  const { t, problem } = useT()
  const { message: toast } = App.useApp()
  const transcript = useStore(chat)
  const { box, content, away, toEnd } = useFollow(transcript.entries.length > 0)
  const [editing, setEditing] = useState<string | null>(null)
  const [seed, setSeed] = useState<{ text: string } | null>(null)
  const running = runningEntry(transcript) !== undefined
  // Only a choice made by hand is named; otherwise the server's own rule holds.
  const pick = useStore(chat.pick) ?? undefined
  const modelName = model?.name ?? ''

  useEffect(() => chat.freshen(), [chat])

  const send = (text: string) => {
    chat.ask(text, pick, model?.id)
    toEnd()
  }
  const resend = useCallback((key: string, other?: string) => chat.resend(key, other ?? pick), [chat, pick])
  const retry = useCallback((message: string, other?: string) => {
    if (other) chat.pick.set(other) // the server keeps a model that was named; the next question goes there, too
    chat.retry(message, other ?? pick)
    toEnd()
  }, [chat, pick, toEnd])
  const edit = useCallback((message: string, content: string) => { setEditing(null); chat.edit(message, content); toEnd() }, [chat, toEnd])
  const goOn = useCallback((message: string) => { chat.goOn(message); toEnd() }, [chat, toEnd])
  const show = useCallback((message: string) => { chat.show(message).catch((error: unknown) => void toast.error(problem(error))) }, [chat, toast, problem])

  return (
    <div className="chat">
      <div className="chat-scroll" ref={box}>
        <div className="chat-column" ref={content}>
          <Stand transcript={transcript} chat={chat} userName={userName} model={modelName} modelsKnown={modelsKnown} onPick={(text) => setSeed({ text })} />
          <Messages transcript={transcript} models={models} modelName={modelName} running={running} editing={editing} onEditing={setEditing} onEdit={edit} onRetry={retry} onResend={resend} onContinue={goOn} onShow={show} />
        </div>
      </div>
      {away && <IconButton className="to-end" type="default" shape="circle" label={t('chat.toEnd')} icon={<ArrowDownOutlined />} onClick={toEnd} />}
      {transcript.loading !== 'missing' && <Composer conversation={chat.id} model={modelName || null} busy={running} seed={seed} away={editing !== null}
        onSend={send} onStop={() => chat.stop()} onLast={() => setEditing(lastQuestion(transcript))}
        note={<><LostModel gone={lost} model={model} /><ModelNote model={model} models={models} admin={admin} /></>} />}
    </div>
  )
}

/** What stands where messages are not: greeting, waiting, trouble, or the way to older ones. */
function Stand({ transcript, chat, userName, model, modelsKnown, onPick }: { transcript: Transcript; chat: Chat; userName: string; model: string; modelsKnown: boolean; onPick: (text: string) => void }) {
  const { t } = useT()
  const [busy, setBusy] = useState(false)
  if (transcript.loading === 'missing') return <Result icon={<Mark size={56} />} title={t('chat.missing')} extra={<Button type="primary" onClick={() => navigate('/')}>{t('nav.new')}</Button>} />
  if (transcript.loading === 'failed') return <Result icon={<Mark size={56} />} title={t('chat.loadFailed')} subTitle={t('error.network')} extra={<Button onClick={() => void chat.read()}>{t('common.retry')}</Button>} />
  if (transcript.loading === 'loading') return <Skeleton className="chat-waits" active paragraph={{ rows: 5 }} title={false} />
  if (transcript.entries.length === 0) return <Greeting name={userName} model={model || null} modelsKnown={modelsKnown} onPick={onPick} />
  if (!transcript.older) return null
  const more = () => { setBusy(true); chat.readOlder().catch(() => undefined).finally(() => setBusy(false)) }
  return <Button type="text" className="older" loading={busy} onClick={more}>{t('chat.older')}</Button>
}

interface MessagesProps {
  transcript: Transcript; models: Model[]; modelName: string; running: boolean; editing: string | null
  onEditing: (message: string | null) => void; onEdit: (message: string, content: string) => void
  onRetry: (message: string, model?: string) => void; onResend: (key: string, model?: string) => void
  onContinue: (message: string) => void; onShow: (message: string) => void
}

function Messages({ transcript, models, modelName, running, editing, onEditing, onEdit, onRetry, onResend, onContinue, onShow }: MessagesProps) {
  const { t } = useT()
  const entries = useMemo(() => transcript.entries.filter(({ message }) => message.role === 'user' || message.role === 'assistant'), [transcript.entries])
  if (entries.length === 0) return null
  return (
    <div className="messages" aria-label={t('chat.messages')} role="log" aria-live="off">
      {entries.map((entry) => (entry.message.role === 'user'
        ? <UserMessage key={entry.key} entry={entry} models={models} busy={running} editing={editing === entry.message.id} onEditing={onEditing} onEdit={onEdit} onShow={onShow} onResend={onResend} />
        : <AssistantMessage key={entry.key} entry={entry} models={models} before={entry.failure ? modelBefore(entries, entry, models) : null} busy={running} fallbackModel={modelName} onRetry={onRetry} onContinue={onContinue} onShorten={onEditing} onShow={onShow} />))}
    </div>
  )
}
