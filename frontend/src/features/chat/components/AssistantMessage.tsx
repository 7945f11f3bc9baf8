import { CaretRightOutlined, CheckOutlined, CopyOutlined, DownOutlined, ReloadOutlined } from '@ant-design/icons'
import { Button, Dropdown, Tooltip } from 'antd'
import { memo } from 'react'
import { tagOf, useT } from '@/shared/i18n'
import type { Model, Usage } from '@/shared/types/wire'
import { IconButton } from '@/shared/ui/IconButton'
import { useCopied } from '@/shared/ui/useCopied'
import { isRunning, textOf, type Entry } from '../stores/transcript'
import { PartView } from './PartView'
import { Remedies } from './Remedies'
import { StatusLine } from './StatusLine'
import { Versions } from './Versions'

interface Props { entry: Entry; models: Model[]; before: Model | null; busy: boolean; fallbackModel: string; onRetry: (message: string, model?: string) => void; onContinue: (message: string) => void; onShorten: (message: string) => void; onShow: (message: string) => void }

export const AssistantMessage = memo(function AssistantMessage({ entry, models, before, busy, fallbackModel, onRetry, onContinue, onShorten, onShow }: Props) {
  const { t } = useT()
  const { message } = entry
  const running = isRunning(entry)
  const model = models.find((candidate) => candidate.id === message.model || candidate.name === message.model)?.name ?? message.model ?? fallbackModel
  return (
    <article className="message message-assistant" data-testid="message-assistant" data-status={message.status} data-id={message.id} aria-label={t('chat.assistant')} aria-busy={running}>
      {message.parts.map((part, index) => <PartView key={index} part={part} parts={message.parts} live={running && index === message.parts.length - 1} />)}
      <div className="answer-foot">
        <StatusLine entry={entry} model={model} />
        {!running && <Actions entry={entry} models={models} before={before} model={model} busy={busy} onRetry={onRetry} onContinue={onContinue} onShorten={onShorten} onShow={onShow} />}
      </div>
    </article>
  )
})

const TROUBLED = ['interrupted', 'failed', 'stopped']

function Actions({ entry, models, before, model, busy, onRetry, onContinue, onShorten, onShow }: Omit<Props, 'fallbackModel'> & { model: string }) {
  const { t } = useT()
  const [copied, copy] = useCopied()
  const { message } = entry
  const text = textOf(message)
  const troubled = TROUBLED.includes(message.status)
  const retry = (id?: string) => onRetry(message.id, id)
  const others = models.map((other) => ({ key: other.id, label: `${other.name} · ${t(`models.state.${other.state}`)}` }))
  // A live answer learns its model's id from the next snapshot; until then the name tells which one it is.
  const own = models.find((other) => other.id === message.model) ?? models.find((other) => other.name === model)
  const canGoOn = message.status !== 'failed' && troubled && own?.capabilities?.includes('continue')
  return (
    <div className={troubled ? 'actions actions-shown' : 'actions'}>
      {canGoOn && <Button size="small" type="primary" icon={<CaretRightOutlined />} disabled={busy} onClick={() => onContinue(message.id)} data-testid="continue">{t('chat.continue')}</Button>}
      {message.status === 'failed'
        ? <Remedies failure={entry.failure} models={models} failed={message.model ?? model} before={before} busy={busy} retryLabel={t('chat.retry')} onRetry={retry} onShorten={message.parent === null ? undefined : () => onShorten(message.parent ?? '')} />
        : troubled ? <Button size="small" icon={<ReloadOutlined />} disabled={busy} onClick={() => retry()} data-testid="retry">{t('chat.retry')}</Button>
        : <IconButton size="small" label={t('chat.retry')} icon={<ReloadOutlined />} disabled={busy} onClick={() => retry()} data-testid="retry" />}
      {message.status !== 'failed' && others.length > 0 && (
        <Dropdown trigger={['click']} disabled={busy} menu={{ items: [{ type: 'group', label: t('chat.retryWith'), children: others }], onClick: ({ key }) => retry(key) }}>
          <Button type="text" size="small" aria-label={t('chat.retryWith')} icon={<DownOutlined />} data-testid="retry-with" />
        </Dropdown>
      )}
      {text && <IconButton size="small" label={copied ? t('common.copied') : t('chat.copyAnswer')} icon={copied ? <CheckOutlined /> : <CopyOutlined />} onClick={() => void copy(text)} />}
      <Versions id={message.id} siblings={message.siblings} busy={busy} onShow={onShow} />
      <Facts model={model} usage={message.usage} created={message.created} />
    </div>
  )
}

function Facts({ model, usage, created }: { model: string; usage: Usage | null; created: string }) {
  const { t, lang } = useT()
  const facts = [model]
  if (usage?.completion_tokens) facts.push(t('chat.tokens', { count: usage.completion_tokens }))
  if (usage?.tokens_per_second) facts.push(t('chat.speed', { speed: Math.round(usage.tokens_per_second) }))
  const details = [new Date(created).toLocaleString(tagOf(lang))]
  if (usage?.prompt_tokens) details.push(t('chat.details', { prompt: usage.prompt_tokens, reused: usage.reused_tokens ?? 0, ttft: ((usage.ttft_ms ?? 0) / 1000).toFixed(1) }))
  return <Tooltip title={details.join(' · ')}><span className="facts">{facts.filter(Boolean).join(' · ')}</span></Tooltip>
}
