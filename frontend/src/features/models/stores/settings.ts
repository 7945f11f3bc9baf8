import type { Key } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'
import { settingsOf, sourceOf } from './card'

/** One field of the form. What is empty is left to the engine; the server alone judges the values. */
export interface Field { name: string; kind: 'number' | 'choice' | 'device'; label: Key; hint: Key; choices?: string[]; min?: number }

const DTYPE: Field = { name: 'dtype', kind: 'choice', label: 'models.set.dtype', hint: 'models.set.dtypeHint', choices: ['auto', 'float32', 'bfloat16', 'float16', 'int8'] }
const CONTEXT: Field = { name: 'context_length', kind: 'number', label: 'models.set.context', hint: 'models.set.contextHint', min: 16 }
const SLOTS: Field = { name: 'slots', kind: 'number', label: 'models.set.slots', hint: 'models.set.slotsHint', min: 1 }
const DEVICE: Field = { name: 'device', kind: 'device', label: 'models.set.device', hint: 'models.set.deviceHint' }
const KEEP: Field = { name: 'keep_alive', kind: 'number', label: 'models.set.keep', hint: 'models.set.keepHint', min: 0 }

const FIELDS: Record<string, Field[]> = {
  transformers: [CONTEXT, SLOTS, DTYPE, DEVICE, KEEP],
  llama_cpp: [CONTEXT, SLOTS, DEVICE, KEEP],
  vllm: [CONTEXT, SLOTS, { ...DTYPE, choices: ['auto', 'float32', 'bfloat16', 'float16'] }, KEEP],
  sglang: [CONTEXT, SLOTS, { ...DTYPE, choices: ['auto', 'float32', 'bfloat16', 'float16'] }, KEEP],
  openai: [CONTEXT, SLOTS, KEEP],
  echo: [CONTEXT, SLOTS, KEEP],
}
export const fieldsOf = (engine: string): Field[] => FIELDS[engine] ?? []

/** Which engines can run what the source holds, the usual one first. */
export function enginesOf(model: Model): string[] {
  const { kind, path } = sourceOf(model)
  const own = model.engine ?? ''
  const gguf = kind === 'gguf' || (kind === 'hub' && path?.toLowerCase().endsWith('.gguf'))
  const able = gguf ? ['transformers', 'llama_cpp'] : kind === 'folder' || kind === 'hub' ? ['transformers', 'vllm', 'sglang'] : []
  return able.includes(own) ? able : [own]
}

/** The form's values: fields by name, and all that has no field of its own as JSON. */
export interface Values { engine: string; fields: Record<string, string | number | null | undefined>; rest: string }

export function valuesOf(model: Model): Values {
  const engine = model.engine ?? ''
  const settings = settingsOf(model)
  const fields: Values['fields'] = {}
  for (const { name } of fieldsOf(engine)) {
    const value = settings[name]
    if (typeof value === 'string' || typeof value === 'number') fields[name] = value
    delete settings[name]
  }
  return { engine, fields, rest: Object.keys(settings).length > 0 ? JSON.stringify(settings, null, 2) : '' }
}

/** Throws SyntaxError where the rest is not a JSON object. Fields of another engine are not sent. */
export function settingsFrom(values: Values): Record<string, unknown> {
  const rest: unknown = values.rest.trim() ? JSON.parse(values.rest) : {}
  if (typeof rest !== 'object' || rest === null || Array.isArray(rest)) throw new SyntaxError('not an object')
  const settings: Record<string, unknown> = { ...rest }
  for (const { name } of fieldsOf(values.engine)) {
    const value = values.fields[name]
    if (value !== null && value !== undefined && value !== '') settings[name] = value
  }
  return settings
}

/** Read by the model service itself, so no reload is needed for them. */
const AT_ONCE = ['keep_alive', 'queue_limit']
export type Effect = 'nothing' | 'atOnce' | 'reload' | 'atLoad'

/** What a change does to a model that may be loaded now. */
export function effectOf(model: Model, engine: string, next: Record<string, unknown>): Effect {
  const before = settingsOf(model)
  const changed = [...new Set([...Object.keys(before), ...Object.keys(next)])].filter((name) => JSON.stringify(before[name]) !== JSON.stringify(next[name]))
  if (engine === model.engine && changed.length === 0) return 'nothing'
  if (engine === model.engine && changed.every((name) => AT_ONCE.includes(name))) return 'atOnce'
  return ['ready', 'loading', 'queued'].includes(model.state) ? 'reload' : 'atLoad'
}

/** The field that a refused `settings` speaks of: its own key, else the name in the sentence. */
export function refusedFields(errors: Record<string, string[]>, engine: string): { fields: Record<string, string[]>; rest: string[] } {
  const found: Record<string, string[]> = {}
  const rest: string[] = []
  const names = fieldsOf(engine).map(({ name }) => name)
  for (const [key, messages] of Object.entries(errors)) {
    const exact = key.startsWith('settings.') ? key.slice('settings.'.length) : key
    for (const message of messages) {
      const name = names.includes(exact) || exact === 'engine' ? exact : names.find((candidate) => new RegExp(`(^|\\W)${candidate}(\\W|$)`).test(message))
      if (name) (found[name] ??= []).push(message)
      else rest.push(message)
    }
  }
  return { fields: found, rest }
}
