import { Alert, Button, Form, Input, Segmented, Switch } from 'antd'
import { useState } from 'react'
import { ApiError } from '@/shared/api/errors'
import { useT } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'
import { addModel } from '../api/hub'
import { KIND_TITLES, KINDS, kindOf, PRESETS, takePreset, type Kind, type Preset } from '../stores/endpoint'
import { Added } from './Added'
import type { House } from './AddModelPage'

interface Values extends Preset { api_key?: string }
const NAMES: (keyof Values)[] = ['name', 'base_url', 'model', 'api_key', 'continues']

/** A model at an address. Only administrators come here, and only they may name one. */
export function EndpointWay({ onChat, onAdded }: House) {
  const { t, problem } = useT()
  const [form] = Form.useForm<Values>()
  const [handed] = useState(takePreset)
  const [kind, setKind] = useState<Kind>(handed ? kindOf(handed.base_url) : 'deepseek')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const [added, setAdded] = useState<Model | null>(null)

  const choose = (next: Kind) => {
    setKind(next)
    form.setFieldsValue(PRESETS[next])
  }

  async function add({ name, base_url, model, api_key, continues }: Values) {
    setBusy(true)
    setError(null)
    try {
      const key = api_key?.trim()
      setAdded(await addModel(name.trim(), { kind: 'remote', base_url: base_url.trim(), model: model.trim(), continues, ...(key ? { api_key: key } : {}) }))
      form.resetFields()
      setKind('deepseek')
      onAdded()
    } catch (thrown) {
      if (!atFields(thrown)) setError(thrown)
    } finally {
      setBusy(false)
    }
  }

  function atFields(thrown: unknown): boolean {
    if (!(thrown instanceof ApiError)) return false
    const found = NAMES.map((name) => ({ name, errors: [...thrown.field(name), ...thrown.field(`source.${name}`)] })).filter((field) => field.errors.length > 0)
    // The server names what is wrong in a source by its sentence: nearly always the address.
    if (found.length === 0 && (thrown.field('source').length > 0 || /address|endpoint/.test(thrown.code))) found.push({ name: 'base_url', errors: [...thrown.field('source'), thrown.message].slice(0, 1) })
    form.setFields(found)
    return found.length > 0
  }

  return (
    <Form<Values> form={form} layout="vertical" requiredMark={false} className="hub-form" initialValues={handed ?? PRESETS.deepseek} onFinish={(values) => void add(values)} data-testid="endpoint-form">
      <p className="room-lead hub-lead">{t('hub.endpoint.lead')}</p>
      {added && <Added model={added} onChat={onChat} />}
      {error !== null && <Alert className="form-alert" type="error" showIcon title={problem(error)} />}
      <Form.Item label={t('hub.endpoint.kind')}>
        <Segmented<Kind> className="hub-kinds" value={kind} onChange={choose} options={KINDS.map((one) => ({ value: one, label: one === 'other' ? t('hub.endpoint.other') : KIND_TITLES[one] }))} data-testid="endpoint-kind" />
      </Form.Item>
      <Form.Item name="base_url" label={t('hub.endpoint.address')} extra={t('hub.endpoint.addressHint')}
        rules={[{ required: true, whitespace: true, message: t('hub.endpoint.addressRequired') }, { pattern: /^\s*https?:\/\/\S/i, message: t('hub.endpoint.addressShape') }]}>
        <Input inputMode="url" autoComplete="off" spellCheck={false} placeholder="http://127.0.0.1:8000/v1" data-testid="endpoint-address" />
      </Form.Item>
      <Form.Item name="model" label={t('hub.endpoint.model')} rules={[{ required: true, whitespace: true, message: t('hub.endpoint.modelRequired') }]}>
        <Input autoComplete="off" spellCheck={false} placeholder="Qwen/Qwen3-8B" data-testid="endpoint-model" />
      </Form.Item>
      <Form.Item name="api_key" label={t('hub.endpoint.key')} extra={t('hub.endpoint.keyHint')}>
        <Input.Password autoComplete="new-password" spellCheck={false} data-testid="endpoint-key" />
      </Form.Item>
      <Form.Item name="continues" valuePropName="checked" label={t('hub.endpoint.continues')} extra={t('hub.endpoint.continuesHint')}>
        <Switch data-testid="endpoint-continues" />
      </Form.Item>
      <Form.Item name="name" label={t('hub.repo.name')} rules={[{ required: true, whitespace: true, message: t('hub.repo.nameRequired') }]}>
        <Input autoComplete="off" spellCheck={false} maxLength={128} data-testid="endpoint-name" />
      </Form.Item>
      <Button type="primary" htmlType="submit" loading={busy} data-testid="endpoint-add">{t('hub.machine.add')}</Button>
    </Form>
  )
}
