import { Button, Input, Space } from 'antd'
import { useState } from 'react'
import { useT } from '@/shared/i18n'

/** Folded until someone wants another revision than the newest. */
export function RevisionForm({ now, onChange }: { now: string; onChange: (revision: string) => void }) {
  const { t } = useT()
  const [open, setOpen] = useState(now !== '')
  const [text, setText] = useState(now)
  if (!open) return <Button type="link" size="small" className="repo-revision" onClick={() => setOpen(true)} data-testid="repo-revision">{t('hub.repo.other')}</Button>
  return (
    <form className="repo-revision-form" onSubmit={(event) => { event.preventDefault(); onChange(text.trim()) }}>
      <Space.Compact block>
        <Input autoFocus size="small" value={text} onChange={(event) => setText(event.target.value)} placeholder="main" aria-label={t('hub.repo.revision')} spellCheck={false} data-testid="repo-revision-text" />
        <Button size="small" htmlType="submit">{t('hub.repo.show')}</Button>
      </Space.Compact>
      <small className="hub-quiet">{t('hub.repo.revisionHint')}</small>
    </form>
  )
}
