import { LockOutlined, PushpinFilled } from '@ant-design/icons'
import { Card, Progress, Tag, Tooltip } from 'antd'
import type { ReactNode } from 'react'
import { useT, type Key, type Translator } from '@/shared/i18n'
import { duration } from '@/shared/lib/figures'
import type { Language } from '@/shared/prefs'
import type { Model, ModelDownload } from '@/shared/types/wire'
import { useMine } from '../hooks/useMine'
import { progressOf } from '../stores/card'
import { away } from '../stores/state'
import { CardActions } from './CardActions'
import { CardError } from './CardError'
import { CardMemory } from './CardMemory'
import { StateTag } from './StateTag'

export interface CardProps {
  model: Model
  admin: boolean
  /** Bytes that a full memory bar stands for, the same on all cards. */
  scale: number
  onAsk: (model: Model) => void
}

const ABILITIES: Record<string, Key | undefined> = {
  continue: 'models.can.continue', reasoning: 'models.can.reasoning', tools: 'models.can.tools', vision: 'models.can.vision', embedding: 'models.can.embedding',
}
const ENGINES: Record<string, Key | undefined> = {
  transformers: 'models.engine.transformers', llama_cpp: 'models.engine.llama_cpp', vllm: 'models.engine.vllm', sglang: 'models.engine.sglang', openai: 'models.engine.openai', echo: 'models.engine.echo',
}

export function ModelCard({ model, admin, scale, onAsk }: CardProps) {
  const { t } = useT()
  const facts: [string, string | null | undefined][] = [
    [t('models.engine'), ENGINES[model.engine ?? ''] ? t(ENGINES[model.engine ?? ''] as Key) : model.engine],
    [t('models.device'), model.device],
    [t('models.context'), model.context_length ? t('models.tokens', { count: model.context_length }) : null],
    [t('models.access'), admin && model.for_everyone !== undefined ? accessText(model, t) : null],
  ]
  return (
    <Card className="model-card" data-testid="model-card" data-state={model.state} data-model={model.id} size="small" role="article" aria-label={model.name} title={<Title model={model} />}>
      <div className="card-state"><StateTag model={model} /><Traffic model={model} /></div>
      <Moving model={model} />
      <CardMemory model={model} scale={scale} />
      <dl className="card-facts">
        {facts.filter(([, value]) => value).map(([label, value]) => <div key={label}><dt>{label}</dt><dd>{value}</dd></div>)}
      </dl>
      <Tags model={model} />
      <CardError model={model} />
      <CardActions model={model} admin={admin} onAsk={onAsk} />
    </Card>
  )
}

function accessText(model: Model, t: Translator['t']): string {
  if (model.for_everyone) return t('models.access.all')
  const count = model.users?.length ?? 0
  return count === 0 ? t('models.access.admins') : count === 1 ? t('models.access.one', { name: model.users?.[0] ?? '' }) : t('models.access.some', { count })
}

function Title({ model }: { model: Model }) {
  const { t } = useT()
  const mine = useMine(model)
  return (
    <span className="card-title">
      <span className="card-name" title={model.name}>{model.name}</span>
      {model.is_default && <Tag color="orange" variant="filled">{t('models.default')}</Tag>}
      {mine && <Tag color="orange" variant="filled">{t('models.myDefault')}</Tag>}
      {model.enabled === false && <Tag variant="filled">{t('models.off')}</Tag>}
      {model.for_everyone === false && <Sign label={t('models.notForAll')}><LockOutlined /></Sign>}
      {model.pinned && <Sign label={t('models.pinned')} id="model-pinned"><PushpinFilled /></Sign>}
    </span>
  )
}

function Sign({ label, id, children }: { label: string; id?: string; children: ReactNode }) {
  return <Tooltip title={label}><span className="card-sign" role="img" aria-label={label} data-testid={id}>{children}</span></Tooltip>
}

/** Who asks it now, and how fast it writes. */
function Traffic({ model }: { model: Model }) {
  const { t } = useT()
  const [running, waiting] = [model.running ?? 0, model.waiting ?? 0]
  if (model.state !== 'ready' && running + waiting === 0) return null
  const words = [
    running > 0 ? t('models.running', { count: running }) : null,
    waiting > 0 ? t('models.waiting', { count: waiting }) : null,
    model.tokens_per_second ? t('chat.speed', { speed: Math.round(model.tokens_per_second) }) : null,
  ].filter((word) => word !== null)
  return <span className="card-traffic" data-testid="model-traffic">{words.length > 0 ? words.join(' · ') : t('models.idle')}</span>
}

function Moving({ model }: { model: Model }) {
  const { t, lang, bytes } = useT()
  if (model.state !== 'loading' && !away(model)) return null
  const progress = progressOf(model)
  const { download } = model
  if (progress === null && model.state !== 'loading') return null
  return (
    <div className="card-moving">
      <Progress percent={Math.round((progress ?? 0) * 100)} size="small" showInfo={false} aria-label={t(`models.state.${model.state}`)} />
      {download && download.bytes_total > 0 && <span className="card-note" data-testid="model-download">{downloadWords(download, lang, t, bytes)}</span>}
    </div>
  )
}

function downloadWords(download: ModelDownload, lang: Language, t: Translator['t'], bytes: Translator['bytes']): string {
  const words = [t('models.bytesOf', { done: bytes(download.bytes_done), total: bytes(download.bytes_total) })]
  if (download.state === 'running' && download.speed > 0) words.push(t('models.perSecond', { size: bytes(download.speed) }))
  if (download.state === 'running' && download.seconds_left !== null) words.push(t('models.timeLeft', { time: duration(download.seconds_left, lang) }))
  if (download.state !== 'running') words.push(t(`models.download.${download.state}`))
  return words.join(' · ')
}

/** What it can do, and that its answers do not share each step where that is so. */
function Tags({ model }: { model: Model }) {
  const { t } = useT()
  const words = model.capabilities ?? []
  const alone = model.packed === false
  if (words.length === 0 && !alone) return null
  return (
    <div className="card-tags">
      {words.map((word) => <Tag key={word} variant="filled">{ABILITIES[word] ? t(ABILITIES[word]) : word}</Tag>)}
      {alone && <Tooltip title={t('models.oneByOneWhy', { reason: model.unpacked_reason ?? '' })}><Tag variant="filled" tabIndex={0} data-testid="model-one-by-one">{t('models.oneByOne')}</Tag></Tooltip>}
    </div>
  )
}
