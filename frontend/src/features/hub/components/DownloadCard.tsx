import { CheckCircleOutlined, CloseOutlined, MessageOutlined, PauseOutlined, CaretRightOutlined, WarningOutlined } from '@ant-design/icons'
import { App, Button, Popconfirm, Progress } from 'antd'
import { useState } from 'react'
import { useT } from '@/shared/i18n'
import { duration } from '@/shared/lib/figures'
import { RouteLink } from '@/shared/ui/RouteLink'
import type { Act } from '../api/hub'
import { repoPath } from '../address'
import { useHubProblem } from '../hooks/useHubProblem'
import { hubTitle } from '../hooks/useHubs'
import { changeDownload, isMoving, isOpen } from '../stores/downloads'
import type { Download } from '../types'

interface Props { download: Download; onChat: (model: string) => void; linked?: boolean }

/** One download: what it is doing in words, how far it is, and what can be done with it. */
export function DownloadCard({ download, onChat, linked = false }: Props) {
  const { t, percent } = useT()
  const name = download.model?.name ?? download.repo
  const share = download.state === 'done' ? 1 : download.bytes_total > 0 ? Math.min(1, download.bytes_done / download.bytes_total) : 0
  return (
    <article className="download" data-testid="download" data-state={download.state} data-repo={download.repo} aria-label={t('hub.download.label', { name })}>
      <div className="download-head">
        {linked
          ? <RouteLink className="download-name" to={repoPath(download.hub, download.repo)}>{name}</RouteLink>
          : <span className="download-name">{name}</span>}
        <span className="download-from">{hubTitle(download.hub)}</span>
        <Actions download={download} onChat={onChat} />
      </div>
      {isOpen(download) && (
        <Progress percent={Math.floor(share * 1000) / 10} showInfo={false} size="small" status={download.state === 'failed' ? 'exception' : isMoving(download) ? 'active' : 'normal'}
          aria-label={t('hub.download.label', { name })} aria-valuetext={percent(share)} />
      )}
      <div className="download-line"><Said download={download} /><Figures download={download} /></div>
    </article>
  )
}

function Said({ download }: { download: Download }) {
  const { t } = useT()
  const problemOf = useHubProblem()
  if (download.state === 'done') return <span className="download-said download-good" role="status"><CheckCircleOutlined /> {t('hub.download.done')}</span>
  if (download.state !== 'failed') return <span className="download-said" data-testid="download-state">{t(`hub.download.${download.state}`)}</span>
  const error = download.error
  const words = !error ? t('hub.download.failedPlain', { code: '?' })
    : /^(hub|repo)_/.test(error.code) ? t('hub.download.failed', { message: problemOf(error, download.hub, download.repo) })
      : error.message ? t('hub.download.failed', { message: error.message }) : t('hub.download.failedPlain', { code: error.code })
  return <span className="download-said download-bad" role="status" data-testid="download-error"><WarningOutlined /> {words}</span>
}

/** Bytes always, speed and the time left only while bytes come. */
function Figures({ download }: { download: Download }) {
  const { t, bytes, lang } = useT()
  if (download.state === 'cancelled') return null
  const facts = [download.state === 'done' ? bytes(download.bytes_total) : t('hub.download.of', { done: bytes(download.bytes_done), total: bytes(download.bytes_total) })]
  if (download.state === 'running' && download.speed) {
    facts.push(t('hub.download.speed', { speed: bytes(download.speed) }))
    if (download.seconds_left !== null) facts.push(t('hub.download.left', { time: duration(download.seconds_left, lang) }))
  }
  return <span className="download-figures" data-testid="download-figures">{facts.map((fact) => <span key={fact}>{fact}</span>)}</span>
}

function Actions({ download, onChat }: { download: Download; onChat: (model: string) => void }) {
  const { t, problem } = useT()
  const { message } = App.useApp()
  const [busy, setBusy] = useState<Act | null>(null)
  const run = (act: Act) => {
    setBusy(act)
    changeDownload(download.id, act).catch((error: unknown) => void message.error(problem(error))).finally(() => setBusy(null))
  }
  const model = download.model
  return (
    <span className="download-actions">
      {download.state === 'done' && model && <Button type="primary" size="small" icon={<MessageOutlined />} onClick={() => onChat(model.id)} data-testid="download-chat">{t('hub.chat')}</Button>}
      {(download.state === 'running' || download.state === 'queued') && <Button size="small" icon={<PauseOutlined />} loading={busy === 'pause'} onClick={() => run('pause')} data-testid="download-pause">{t('hub.download.pause')}</Button>}
      {download.state === 'paused' && <Button size="small" type="primary" icon={<CaretRightOutlined />} loading={busy === 'resume'} onClick={() => run('resume')} data-testid="download-resume">{t('hub.download.resume')}</Button>}
      {download.state === 'failed' && <Button size="small" type="primary" loading={busy === 'resume'} onClick={() => run('resume')} data-testid="download-retry">{t('common.retry')}</Button>}
      {isOpen(download) && (
        <Popconfirm title={t('hub.download.cancelAsk')} description={t('hub.download.cancelWhat')} okText={t('hub.download.cancel')} cancelText={t('hub.download.keep')}
          okButtonProps={{ danger: true }} onConfirm={() => run('cancel')}>
          <Button size="small" type="text" icon={<CloseOutlined />} loading={busy === 'cancel'} data-testid="download-cancel">{t('hub.download.cancel')}</Button>
        </Popconfirm>
      )}
    </span>
  )
}
