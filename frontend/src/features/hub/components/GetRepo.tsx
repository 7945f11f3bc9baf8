import { DownloadOutlined, MessageOutlined } from '@ant-design/icons'
import { Alert, App, Button, Form, Input } from 'antd'
import { useState } from 'react'
import { ApiError } from '@/shared/api/errors'
import { useT } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'
import { useHubProblem } from '../hooks/useHubProblem'
import { hasDisk } from '../stores/choice'
import { beginDownload, isOpen } from '../stores/downloads'
import { bestDevice } from '../stores/fit'
import type { Download, Repo } from '../types'
import type { House } from './AddModelPage'
import { DownloadCard } from './DownloadCard'

interface Props extends House { repo: Repo; files: string[] | undefined; download: Download | null; waiting: boolean }

/** The button, or what became of it: the download under way, or the model that is here already. */
export function GetRepo(props: Props) {
  const { repo, download, models, files, onChat } = props
  const { t } = useT()
  if (download && (isOpen(download) || download.state === 'done') && sameFiles(download, files)) return <section className="repo-box"><DownloadCard download={download} onChat={onChat} /></section>
  const here = models.find((model) => isOf(model, repo))
  if (here && files === undefined) {
    return <div className="repo-get"><Button type="primary" icon={<MessageOutlined />} onClick={() => onChat(here.id)} data-testid="repo-chat">{t('hub.chat')}</Button><span className="hub-quiet">{t('hub.here')}: {here.name}</span></div>
  }
  return repo.refused ? null : <Begin {...props} />
}

/** A download of other weights of the same repository is not this one. */
const sameFiles = (download: Download, files: string[] | undefined): boolean =>
  files === undefined || files.every((path) => download.files.some((file) => file.path === path))

function isOf(model: Model, repo: Repo): boolean {
  const source = model.source as { kind?: string; hub?: string; repo?: string } | undefined
  return source?.kind === 'hub' && source.hub === repo.hub && source.repo === repo.repo && model.state !== 'absent' && model.state !== 'downloading'
}

function Begin({ repo, files, waiting, onAdded }: Props) {
  const { t, bytes } = useT()
  const { message } = App.useApp()
  const problemOf = useHubProblem()
  const [form] = Form.useForm<{ name: string }>()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const size = bytes(repo.size_bytes)
  const small = bestDevice(repo.fit)?.verdict === 'does_not_fit'

  async function begin({ name }: { name: string }) {
    setBusy(true)
    setError(null)
    try {
      await beginDownload({ hub: repo.hub, repo: repo.repo, revision: repo.revision, files, name: name.trim() })
      void message.success(t('hub.download.started'))
      onAdded()
    } catch (thrown) {
      const taken = thrown instanceof ApiError ? thrown.field('name') : []
      if (taken.length > 0) form.setFields([{ name: 'name', errors: taken }])
      else setError(thrown)
    } finally {
      setBusy(false)
    }
  }

  return (
    <Form form={form} layout="vertical" requiredMark={false} initialValues={{ name: repo.repo.split('/')[1] }} onFinish={(values) => void begin(values)} className="repo-box repo-begin">
      {error !== null && <Alert className="form-alert" type="error" showIcon title={problemOf(error, repo.hub, repo.repo)} data-testid="repo-problem" />}
      {!hasDisk(repo) && <Alert className="form-alert" type="error" showIcon title={t('hub.repo.noDisk', { free: bytes(repo.free_bytes), size })} data-testid="repo-no-disk" />}
      <div className="repo-get">
        <Form.Item name="name" label={t('hub.repo.name')} rules={[{ required: true, whitespace: true, message: t('hub.repo.nameRequired') }]}>
          <Input autoComplete="off" spellCheck={false} maxLength={128} data-testid="repo-model-name" />
        </Form.Item>
        <Button type="primary" htmlType="submit" icon={<DownloadOutlined />} loading={busy} disabled={!hasDisk(repo) || waiting} data-testid="repo-download">{t(small ? 'hub.repo.startAnyway' : 'hub.repo.start', { size })}</Button>
      </div>
      {small && <p className="hub-quiet">{t('hub.repo.nothing')}</p>}
    </Form>
  )
}
