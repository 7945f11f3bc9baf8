import { Alert, Checkbox, Modal, type ButtonProps } from 'antd'
import { useState } from 'react'
import { useT } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'
import { deleteModel } from '../api/models'
import { sourceOf } from '../stores/card'
import { refreshModels } from '../stores/models'

const DELETE: ButtonProps & { 'data-testid': string } = { 'data-testid': 'delete-confirm', danger: true }

/** Says what goes and what stays before anything does. Files that were downloaded here may go with it; a folder of one's own never. */
export default function DeleteModel({ model, onClose }: { model: Model; onClose: () => void }) {
  const { t, problem } = useT()
  const [files, setFiles] = useState(false)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const { kind, path } = sourceOf(model)
  const stays = kind === 'remote' || kind === 'echo' ? t('models.delete.remote') : kind === 'hub' ? t('models.delete.hub') : t('models.delete.folder', { path: path ?? '' })

  async function remove() {
    setBusy(true)
    setError(null)
    try {
      await deleteModel(model.id, files)
      await refreshModels()
      onClose()
    } catch (thrown) {
      setError(thrown)
      setBusy(false)
    }
  }

  return (
    <Modal open title={t('models.delete.title', { name: model.name })} onCancel={onClose} onOk={() => void remove()} okText={t('models.delete.do')} cancelText={t('common.cancel')} confirmLoading={busy} okButtonProps={DELETE}>
      <p className="delete-words">{t('models.delete.lead')} {stays}</p>
      {kind === 'hub' && <Checkbox checked={files} onChange={({ target }) => setFiles(target.checked)} data-testid="delete-files">{t('models.delete.files')}</Checkbox>}
      {error !== null && <Alert type="error" showIcon title={problem(error)} />}
    </Modal>
  )
}
