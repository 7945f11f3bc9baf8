import { Alert, Button, Form, Input } from 'antd'
import { useState } from 'react'
import { ApiError } from '@/shared/api/errors'
import { useT } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'
import { addModel } from '../api/hub'
import { nameOf, sourceOf } from '../stores/machine'
import type { Cached } from '../types'
import { Added } from './Added'

interface Values { path: string; name: string }
/** Under which names the server speaks of each field. */
const FIELDS: [keyof Values, string[]][] = [['name', ['name']], ['path', ['path', 'source.path', 'source']]]

interface Props { begin: Cached | null; onChat: (model: string) => void; onAdded: () => void }

export function PathForm({ begin, onChat, onAdded }: Props) {
  const { t, problem } = useT()
  const [form] = Form.useForm<Values>()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const [added, setAdded] = useState<Model | null>(null)

  async function add(values: Values) {
    setBusy(true)
    setError(null)
    try {
      setAdded(await addModel(values.name.trim(), sourceOf(values.path)))
      form.resetFields()
      onAdded()
    } catch (thrown) {
      if (!atFields(thrown)) setError(thrown)
    } finally {
      setBusy(false)
    }
  }

  function atFields(thrown: unknown): boolean {
    if (!(thrown instanceof ApiError)) return false
    const found = FIELDS.map(([name, from]) => ({ name, errors: from.flatMap((field) => thrown.field(field)) })).filter((field) => field.errors.length > 0)
    // What is wrong with the files themselves is said at the path.
    if (found.length === 0 && thrown.status === 400 && thrown.message) found.push({ name: 'path', errors: [thrown.message] })
    form.setFields(found)
    return found.length > 0
  }

  const suggest = (path: string) => { if (!form.isFieldTouched('name')) form.setFieldValue('name', nameOf(path)) }
  return (
    <Form<Values> form={form} layout="vertical" requiredMark={false} className="hub-form" onFinish={(values) => void add(values)}
      initialValues={begin ? { path: begin.path, name: nameOf(begin.repo || begin.name) } : undefined}>
      {added && <Added model={added} onChat={onChat} />}
      {error !== null && <Alert className="form-alert" type="error" showIcon title={problem(error)} />}
      <Form.Item name="path" label={t('hub.machine.path')} extra={t('hub.machine.pathHint')} rules={[{ required: true, whitespace: true, message: t('hub.machine.pathRequired') }]}>
        <Input placeholder="/srv/models/Qwen3-0.6B" autoComplete="off" spellCheck={false} onChange={(event) => suggest(event.target.value)} data-testid="model-path" />
      </Form.Item>
      <Form.Item name="name" label={t('hub.machine.name')} rules={[{ required: true, whitespace: true, message: t('hub.repo.nameRequired') }]}>
        <Input placeholder="Qwen3-0.6B" autoComplete="off" spellCheck={false} maxLength={128} data-testid="model-name" />
      </Form.Item>
      <Button type="primary" htmlType="submit" loading={busy} data-testid="model-register-submit">{t('hub.machine.add')}</Button>
    </Form>
  )
}
