import { Alert, Button, Result, Skeleton } from 'antd'
import { useState } from 'react'
import { useT } from '@/shared/i18n'
import { contextOf } from '@/shared/lib/figures'
import { useStore } from '@/shared/lib/store'
import { Mark } from '@/shared/ui/Mark'
import { loadRepo } from '../api/hub'
import { useAsked } from '../hooks/useAsked'
import { useHubProblem } from '../hooks/useHubProblem'
import { hubTitle, TOKEN_VARIABLE } from '../hooks/useHubs'
import { weightsOf } from '../stores/choice'
import { downloads, downloadOfRepo } from '../stores/downloads'
import type { HubName, Repo } from '../types'
import type { House } from './AddModelPage'
import { Abilities, Facts } from './facts'
import { FitPanel } from './FitPanel'
import { GetRepo } from './GetRepo'
import { RepoFiles } from './RepoFiles'
import { RevisionForm } from './RevisionForm'
import { WeightsChoice } from './WeightsChoice'

/** One repository before anything of it is fetched: what it is, whether it fits, what would come, and the button. */
export function RepoPage({ hub, repo, ...house }: { hub: HubName; repo: string } & House) {
  const { t } = useT()
  const problemOf = useHubProblem()
  const [revision, setRevision] = useState('')
  const [files, setFiles] = useState<string[] | undefined>(undefined)
  const asked = useAsked([hub, repo, revision, ...(files ?? [])].join(' '), () => loadRepo(hub, repo, revision || undefined, files?.[0]))
  const [last, setLast] = useState<Repo | null>(null)
  if (asked.value && asked.value !== last) setLast(asked.value)
  // Another choice of weights is asked for: what was known stays in sight until the answer comes.
  const known = asked.value ?? (asked.state === 'waiting' ? last : null)
  return (
    <article className="repo" data-testid="repo-page" aria-busy={asked.state === 'waiting'}>
      <h2 className="repo-name">{repo.split('/')[1]}</h2>
      <p className="hub-quiet repo-from">{t('hub.repo.on', { repo, hub: hubTitle(hub) })}</p>
      {asked.state === 'failed' && (
        <Result icon={<Mark size={56} />} title={problemOf(asked.error, hub, repo)} extra={<Button type="primary" onClick={asked.again} data-testid="repo-retry">{t('common.retry')}</Button>} />
      )}
      {asked.state === 'failed' && revision && <RevisionForm now={revision} onChange={setRevision} />}
      {asked.state === 'waiting' && !known && <Skeleton active paragraph={{ rows: 6 }} />}
      {known && <Known repo={known} waiting={asked.state === 'waiting'} asked={revision} onRevision={setRevision} files={files} onFiles={setFiles} {...house} />}
    </article>
  )
}

interface KnownProps extends House { repo: Repo; waiting: boolean; asked: string; onRevision: (revision: string) => void; files: string[] | undefined; onFiles: (files: string[] | undefined) => void }

function Known({ repo, waiting, asked, onRevision, files, onFiles, ...house }: KnownProps) {
  const { t, bytes } = useT()
  const download = downloadOfRepo(useStore(downloads), repo.hub, repo.repo)
  const weights = weightsOf(repo.files)
  return (
    <>
      {repo.refused && <Alert className="hub-note" type="error" showIcon title={t('hub.repo.refused')} description={repo.refused.message} data-testid="repo-refused" data-code={repo.refused.code} />}
      {repo.gated && !repo.refused && <Alert className="hub-note" type="warning" showIcon title={t('hub.repo.gated', { hub: hubTitle(repo.hub), variable: TOKEN_VARIABLE[repo.hub] })} data-testid="repo-gated" />}
      <div className="repo-columns">
        <section className="repo-box">
          <Facts rows={[
            [t('hub.repo.download'), bytes(repo.size_bytes)],
            [t('hub.repo.disk'), bytes(repo.free_bytes)],
            [t('hub.catalogue.license'), repo.license ?? t('hub.notKnown')],
            [t('hub.repo.family'), repo.family],
            [t('hub.catalogue.context'), repo.context_length ? contextOf(repo.context_length) : null],
            [t('hub.repo.quantization'), repo.quantization],
            [t('hub.repo.revision'), <code key="revision" title={repo.revision}>{asked && asked !== repo.revision ? `${asked} · ` : ''}{repo.revision.slice(0, 12)}</code>],
          ]} />
          <Abilities words={repo.capabilities} />
          <div className="repo-links">
            <RevisionForm now={asked} onChange={onRevision} />
          </div>
        </section>
        {!repo.refused && <FitPanel fit={repo.fit} waiting={waiting} />}
      </div>
      {weights.length > 1 && <WeightsChoice weights={weights} chosen={files} waiting={waiting} onChoose={onFiles} />}
      <GetRepo repo={repo} files={files} download={download} waiting={waiting} {...house} />
      <RepoFiles repo={repo} />
    </>
  )
}
