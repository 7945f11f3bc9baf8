import { Alert, Form, Modal, Radio, Select, type ButtonProps } from 'antd'
import { useState } from 'react'
import { ApiError } from '@/shared/api/errors'
import { useT } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'
import { changeModel } from '../api/models'
import { refreshModels } from '../stores/models'

const SAVE: ButtonProps & { 'data-testid': string } = { 'data-testid': 'access-save' }

/** Everyone, or the people whose names are written here; administrators always may. */
export default function Access({ model, onClose }: { model: Model; onClose: () => void }) {
  const { t, problem } = useT()
  const [everyone, setEveryone] = useState(model.for_everyone !== false)
  const [users, setUsers] = useState<string[]>(model.users ?? [])
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<{ field: string | null; other: unknown } | null>(null)

  async function save() {
    setBusy(true)
    setError(null)
    try {
      await changeModel(model.id, { for_everyone: everyone, users })
      await refreshModels()
      onClose()
    } catch (thrown) {
      const field = thrown instanceof ApiError ? thrown.field('users').join(' ') : ''
      setError(field ? { field, other: null } : { field: null, other: thrown })
    } finally {
      setBusy(false)
    }
  }

  return (
    <Modal open title={t('models.accessTitle', { name: model.name })} onCancel={onClose} onOk={() => void save()} okText={t('common.save')} cancelText={t('common.cancel')} confirmLoading={busy} okButtonProps={SAVE}>
      <div className="access">
        <Radio.Group className="access-choice" value={everyone} onChange={({ target }) => setEveryone(target.value as boolean)} aria-label={t('models.access')}>
          <Radio value data-testid="access-everyone">{t('models.access.everyone')}</Radio>
          <Radio value={false} data-testid="access-chosen">{t('models.access.chosen')}</Radio>
        </Radio.Group>
        {!everyone && (
          <Form.Item label={t('models.access.users')} layout="vertical" extra={t('models.access.usersHint')} validateStatus={error?.field ? 'error' : undefined} help={error?.field ?? undefined}>
            <Select mode="tags" open={false} suffixIcon={null} value={users} onChange={setUsers} tokenSeparators={[',', ' ', '，', '、']} placeholder={t('models.access.placeholder')} aria-label={t('models.access.users')} data-testid="access-users" />
          </Form.Item>
        )}
        {error?.other != null && <Alert type="error" showIcon title={problem(error.other)} />}
      </div>
    </Modal>
  )
}
