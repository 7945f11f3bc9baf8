import { PlusOutlined } from '@ant-design/icons'
import { Alert, App, Button, Form, Input, Modal, type ButtonProps } from 'antd'
import { useState } from 'react'
import { ApiError } from '@/shared/api/errors'
import { useT } from '@/shared/i18n'
import { addFolder } from '../api/models'
import { refreshModels } from '../stores/models'

interface Values { name: string; path: string }
/** The server's field names, as they may come back in `extra.fields`. */
const FIELDS: [keyof Values, string[]][] = [['name', ['name']], ['path', ['path', 'source.path', 'source']]]

const SUBMIT: ButtonProps & { 'data-testid': string } = { 'data-testid': 'model-register-submit' }

export function RegisterModel() {
  const { t, problem } = useT()
  const { message } = App.useApp()
  const [form] = Form.useForm<Values>()
  const [open, setOpen] = useState(false)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)

  async function submit(values: Values) {
    setBusy(true)
    setError(null)
    try {
      const made = await addFolder(values.name.trim(), values.path.trim())
      void message.success(t('models.added', { name: made.name }))
      setOpen(false)
      form.resetFields()
      await refreshModels()
    } catch (thrown) {
      if (!atFields(thrown)) setError(thrown)
    } finally {
      setBusy(false)
    }
  }

  function atFields(thrown: unknown): boolean {
    if (!(thrown instanceof ApiError)) return false
    const found = FIELDS.map(([name, from]): { name: keyof Values; errors: string[] } => ({ name, errors: from.flatMap((field) => thrown.field(field)) })).filter((field) => field.errors.length > 0)
    if (thrown.code === 'invalid_model_folder') found.push({ name: 'path', errors: [thrown.message] })
    form.setFields(found)
    return found.length > 0
  }

  return (
    <>
      <Button type="primary" icon={<PlusOutlined />} onClick={() => setOpen(true)} data-testid="model-register">{t('models.add')}</Button>
      <Modal open={open} title={t('models.add')} onCancel={() => setOpen(false)} onOk={form.submit} okText={t('models.add')} confirmLoading={busy}
        okButtonProps={SUBMIT} forceRender>
        <Form<Values> form={form} layout="vertical" requiredMark={false} onFinish={(values) => void submit(values)}>
          {error !== null && <Alert className="form-alert" type="error" showIcon title={problem(error)} />}
          <Form.Item name="name" label={t('models.form.name')} rules={[{ required: true, whitespace: true, message: t('models.form.nameRequired') }]}>
            <Input placeholder="Qwen3-0.6B" data-testid="model-name" autoComplete="off" />
          </Form.Item>
          <Form.Item name="path" label={t('models.form.path')} extra={t('models.form.pathHint')} rules={[{ required: true, whitespace: true, message: t('models.form.pathRequired') }]}>
            <Input placeholder="/srv/models/Qwen3-0.6B" data-testid="model-path" autoComplete="off" spellCheck={false} />
          </Form.Item>
        </Form>
      </Modal>
    </>
  )
}
