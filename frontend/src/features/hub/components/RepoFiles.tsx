import { Collapse } from 'antd'
import { useT } from '@/shared/i18n'
import { skippedFiles, wantedFiles } from '../stores/choice'
import type { Repo, RepoFile } from '../types'

/** What comes and what does not, each with its reason; folded, since most people only want the sum. */
export function RepoFiles({ repo }: { repo: Repo }) {
  const { t, bytes } = useT()
  const [wanted, skipped] = [wantedFiles(repo), skippedFiles(repo)]
  const sum = { count: wanted.length, size: bytes(repo.size_bytes) }
  const panels = [
    ...(wanted.length > 0 ? [{ key: 'wanted', label: t('hub.repo.wanted', { files: t(wanted.length === 1 ? 'hub.repo.oneFile' : 'hub.repo.files', sum) }), children: <Files files={wanted} /> }] : []),
    ...(skipped.length > 0 ? [{ key: 'skipped', label: t('hub.repo.skipped', { count: skipped.length }), children: <Files files={skipped} /> }] : []),
  ]
  return <Collapse className="repo-files" size="small" items={panels} data-testid="repo-files" />
}

function Files({ files }: { files: RepoFile[] }) {
  const { bytes } = useT()
  return (
    <ul className="files">
      {files.map((file) => <li key={file.path} data-testid="repo-file" data-wanted={file.wanted}><span className="file-path">{file.path}</span><span className="file-size">{bytes(file.size)}</span>{file.why && <span className="file-why">{file.why}</span>}</li>)}
    </ul>
  )
}
