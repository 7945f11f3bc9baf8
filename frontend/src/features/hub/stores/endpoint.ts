import { Store } from '@/shared/lib/store'

/** What the form begins with. `continues`: the endpoint writes on from a half-written answer (`prefix`, `continue_final_message`). */
export interface Preset { name: string; base_url: string; model: string; continues: boolean }

export const KINDS = ['deepseek', 'vllm', 'sglang', 'llama', 'other'] as const
export type Kind = (typeof KINDS)[number]
export const KIND_TITLES: Record<Exclude<Kind, 'other'>, string> = { deepseek: 'DeepSeek', vllm: 'vLLM', sglang: 'SGLang', llama: 'llama-server' }

/** DeepSeek continues only below /beta (its "chat prefix completion"); the ports are what each server uses unless told otherwise. */
export const PRESETS: Record<Kind, Preset> = {
  deepseek: { name: 'DeepSeek', base_url: 'https://api.deepseek.com/beta', model: 'deepseek-chat', continues: true },
  vllm: { name: '', base_url: 'http://127.0.0.1:8000/v1', model: '', continues: true },
  sglang: { name: '', base_url: 'http://127.0.0.1:30000/v1', model: '', continues: true },
  llama: { name: '', base_url: 'http://127.0.0.1:8080/v1', model: 'default', continues: false },
  other: { name: '', base_url: '', model: '', continues: false },
}

export const kindOf = (base_url: string): Kind =>
  /(^|\.)deepseek\.com$/.test(URL.canParse(base_url) ? new URL(base_url).hostname : '') ? 'deepseek' : 'other'

/** What a catalogue entry handed over to the form; taken once. */
const handed = new Store<Preset | null>(null)

export function presetFrom(name: string, remote: { base_url: string; model: string }): void {
  handed.set({ name, ...remote, continues: kindOf(remote.base_url) === 'deepseek' && /\/beta\/?$/.test(remote.base_url) })
}

export function takePreset(): Preset | null {
  const preset = handed.get()
  handed.set(null)
  return preset
}
