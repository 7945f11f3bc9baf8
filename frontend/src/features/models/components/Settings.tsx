import { Alert, AutoComplete, Button, Collapse, Drawer, Form, Input, InputNumber, Select, type ButtonProps } from 'antd'
import { useState } from 'react'
import { ApiError } from '@/shared/api/errors'
import { useT, type Key } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'
import { changeModel } from '../api/models'
import { useFit } from '../hooks/useFit'
import { effectOf, enginesOf, fieldsOf, refusedFields, settingsFrom, valuesOf, type Effect, type Field, type Values } from '../stores/settings'
import { refreshModels } from '../stores/models'
import { FitView } from './FitView'

const SAVE: ButtonProps & { 'data-testid': string } = { 'data-testid': 'settings-save' }
const EFFECTS: Record<Effect, Key> = { nothing: 'models.set.nothing', atOnce: 'models.set.atOnce', reload: 'models.set.reload', atLoad: 'models.set.atLoad' }
/** The fit asks about what is saved; only these two may be tried out before. */
const TRIED = ['context_length', 'slots']

/** How the model is run: what can be said about it in fields, whether that fits, and what a change does. */
export default function Settings({ model, onClose }: { model: Model; onClose: () => void }) {
  const { t, problem } = useT()
  const [values, setValues] = useState<Values>(() => valuesOf(model))
  const [errors, setErrors] = useState<Record<string, string[]>>({})
  const [other, setOther] = useState<string | null>(null)
  const [busy, setBusy] = useState(false)
  const number = (name: string): number | null => (typeof values.fields[name] === 'number' ? values.fields[name] : null)
  const { fit, error: unfit } = useFit(model.id, number('context_length'), number('slots'), model.settings)
  const devices = ['auto', ...new Set([...(fit?.devices.map(({ device }) => device) ?? []), 'cpu'])]
  const engines = enginesOf(model)
  const parsed = attempt(values)
  const effect = parsed ? effectOf(model, values.engine, parsed) : 'nothing'
  const untold = parsed !== null && effectOf(model, values.engine, { ...parsed, ...keep(model, TRIED) }) !== 'nothing'

  const change = (name: string, value: string | number | null | undefined) => {
    setErrors(({ [name]: _gone, ...rest }) => rest)
    setValues((now) => ({ ...now, fields: { ...now.fields, [name]: value } }))
  }

  async function save() {
    if (!parsed) { setErrors({ rest: [t('models.set.restWrong')] }); return }
    setBusy(true)
    setErrors({})
    setOther(null)
    try {
      await changeModel(model.id, { settings: parsed, ...(values.engine !== model.engine ? { engine: values.engine } : {}) })
      await refreshModels()
      onClose()
    } catch (thrown) {
      const told = thrown instanceof ApiError ? refusedFields(fieldsIn(thrown), values.engine) : { fields: {}, rest: [] }
      setErrors(told.rest.length > 0 ? { ...told.fields, rest: told.rest } : told.fields)
      if (Object.keys(told.fields).length + told.rest.length === 0) setOther(problem(thrown))
    } finally {
      setBusy(false)
    }
  }

  const shown = (name: string) => (errors[name] ? { validateStatus: 'error' as const, help: errors[name].join(' ') } : {})
  const fields = fieldsOf(values.engine)
  const row = (field: Field) => (
    <Form.Item key={field.name} label={t(field.label)} htmlFor={`set-${field.name}`} extra={t(field.hint)} {...shown(field.name)} data-testid={`field-${field.name}`}>
      <Control field={field} value={values.fields[field.name]} devices={devices} onChange={(value) => change(field.name, value)} />
    </Form.Item>
  )
  return (
    <Drawer open title={t('models.set.title', { name: model.name })} onClose={onClose} size="min(480px, 100vw)" rootClassName="settings"
      footer={(
        <div className="settings-foot">
          <span className="card-note" role="status" data-testid="settings-effect">{t(EFFECTS[effect])}</span>
          <Button onClick={onClose}>{t('common.cancel')}</Button>
          <Button type="primary" loading={busy} disabled={effect === 'nothing' && parsed !== null} onClick={() => void save()} {...SAVE}>{t('common.save')}</Button>
        </div>
      )}>
      <Form layout="vertical" component="div" data-testid="model-settings">
        {other && <Alert className="form-alert" type="error" showIcon title={other} />}
        {engines.length > 1 && (
          <Form.Item label={t('models.engine')} htmlFor="set-engine" extra={t('models.set.engineHint')} {...shown('engine')}>
            <Select id="set-engine" value={values.engine} onChange={(engine) => setValues((now) => ({ ...now, engine }))} options={engines.map((value) => ({ value, label: t(`models.engine.${value}` as Key) }))} data-testid="set-engine" />
          </Form.Item>
        )}
        {fields.filter(({ name }) => TRIED.includes(name)).map(row)}
        {values.engine !== 'openai' && (
          <section className="fit" aria-label={t('models.fit.title')} aria-live="polite">
            <h3>{t('models.fit.title')}</h3>
            {fit ? <FitView fit={fit} /> : <p className="fit-sentence">{unfit ? problem(unfit) : t('models.fit.asking')}</p>}
            {fit && untold && <p className="card-note">{t('models.fit.saved')}</p>}
          </section>
        )}
        {fields.filter(({ name }) => !TRIED.includes(name)).map(row)}
        <Collapse ghost size="small" defaultActiveKey={values.rest ? ['rest'] : []} activeKey={errors.rest ? ['rest'] : undefined} items={[{ key: 'rest', label: t('models.set.rest'), children: (
          <Form.Item htmlFor="set-rest" extra={t('models.set.restHint')} {...shown('rest')}>
            <Input.TextArea id="set-rest" aria-label={t('models.set.rest')} autoSize={{ minRows: 2, maxRows: 10 }} value={values.rest} spellCheck={false} className="settings-rest" onChange={({ target }) => setValues((now) => ({ ...now, rest: target.value }))} data-testid="set-rest" />
          </Form.Item>
        ) }]} />
      </Form>
    </Drawer>
  )
}

function Control({ field, value, devices, onChange }: { field: Field; value: string | number | null | undefined; devices: string[]; onChange: (value: string | number | null | undefined) => void }) {
  const { t } = useT()
  const id = `set-${field.name}`
  switch (field.kind) {
    case 'number': return <InputNumber id={id} className="settings-number" value={value as number | null} onChange={onChange} placeholder={t('models.set.auto')} min={field.min} precision={0} data-testid={id} />
    case 'choice': return <Select id={id} allowClear value={value as string | undefined} onChange={onChange} placeholder={t('models.set.auto')} options={field.choices?.map((choice) => ({ value: choice, label: choice }))} data-testid={id} />
    case 'device': return <AutoComplete id={id} allowClear value={value as string | undefined} onChange={onChange} placeholder={t('models.set.auto')} options={devices.map((device) => ({ value: device }))} data-testid={id} />
  }
}

function attempt(values: Values): Record<string, unknown> | null {
  try { return settingsFrom(values) } catch { return null }
}

/** The saved values of these settings. */
function keep(model: Model, names: string[]): Record<string, unknown> {
  const saved = valuesOf(model).fields
  return Object.fromEntries(names.map((name) => [name, saved[name]]))
}

function fieldsIn(error: ApiError): Record<string, string[]> {
  const fields = error.extra.fields
  return typeof fields === 'object' && fields !== null ? Object.fromEntries(Object.keys(fields).map((name) => [name, error.field(name)])) : {}
}
