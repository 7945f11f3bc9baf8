import { PushpinFilled, PushpinOutlined } from '@ant-design/icons'
import { App, Button, Card, Progress, Tag, Tooltip } from 'antd'
import { useState } from 'react'
import { useT, type Key } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'
import { IconButton } from '@/shared/ui/IconButton'
import { loadModel, makeDefault, pinModel, unloadModel } from '../api/models'
import { refreshModels } from '../stores/models'
import { StateTag } from './StateTag'

const errorText = (error: Model['error']): string | null => (typeof error === 'string' ? error : error ? error.message || error.code : null)

const ABILITIES: Record<string, Key | undefined> = {
  continue: 'models.can.continue', reasoning: 'models.can.reasoning', tools: 'models.can.tools', vision: 'models.can.vision', embedding: 'models.can.embedding',
}

export function ModelCard({ model, canChange }: { model: Model; canChange: boolean }) {
  const { t, bytes } = useT()
  const error = errorText(model.error)
  const facts: [string, string | null | undefined][] = [
    [t('models.device'), model.device],
    [t('models.memory'), model.memory_bytes ? bytes(model.memory_bytes) : null],
    [t('models.context'), model.context_length ? t('models.tokens', { count: model.context_length }) : null],
    [t('models.engine'), model.engine],
  ]
  return (
    <Card className="model-card" data-testid="model-card" data-state={model.state} data-model={model.id} size="small"
      title={<span className="card-title"><span className="card-name" title={model.name}>{model.name}</span>{model.is_default && <Tag color="orange" variant="filled">{t('models.default')}</Tag>}{model.enabled === false && <Tag variant="filled">{t('models.off')}</Tag>}</span>}>
      <div className="card-state"><StateTag model={model} /></div>
      {model.state === 'loading' && <Progress percent={Math.round((model.progress ?? 0) * 100)} size="small" showInfo={false} aria-label={t('models.state.loading')} />}
      <dl className="card-facts">
        {facts.filter(([, value]) => value).map(([label, value]) => <div key={label}><dt>{label}</dt><dd>{value}</dd></div>)}
      </dl>
      <Tags model={model} />
      {error && <p className="card-error"><strong>{t('models.lastError')}:</strong> {error}</p>}
      {canChange && <CardActions model={model} />}
    </Card>
  )
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

const LOADED = ['ready', 'loading', 'queued']

function CardActions({ model }: { model: Model }) {
  const { t, problem } = useT()
  const { message } = App.useApp()
  const [busy, setBusy] = useState<string | null>(null)
  async function run(name: string, action: (id: string) => Promise<unknown>) {
    setBusy(name)
    try {
      await action(model.id)
      await refreshModels()
    } catch (error) {
      void message.error(problem(error))
    } finally {
      setBusy(null)
    }
  }
  return (
    <div className="card-actions">
      {LOADED.includes(model.state)
        ? <Button size="small" loading={busy === 'unload'} onClick={() => void run('unload', unloadModel)} data-testid="model-unload">{t('models.unload')}</Button>
        : <Button size="small" type="primary" disabled={model.state === 'draining'} loading={busy === 'load'} onClick={() => void run('load', loadModel)} data-testid="model-load">{t('models.load')}</Button>}
      {!model.is_default && <Button size="small" type="text" loading={busy === 'default'} onClick={() => void run('default', makeDefault)} data-testid="model-default">{t('models.makeDefault')}</Button>}
      <IconButton size="small" className="card-pin" label={t(model.pinned ? 'models.unpin' : 'models.pin')} icon={model.pinned ? <PushpinFilled /> : <PushpinOutlined />}
        loading={busy === 'pin'} onClick={() => void run('pin', (id) => pinModel(id, !model.pinned))} data-testid="model-pin" />
    </div>
  )
}
