/** What travels between page and server: docs of the REST and WebSocket contract, as types. */

import type { components } from './api'

type Schemas = components['schemas']
/** What the API says now, for bodies that this page may also have kept from an older server. */
type Kept<T, Sure extends keyof T> = Pick<T, Sure> & Partial<Omit<T, Sure>>

export interface Page<T> { results: T[]; next: string | null }

export type User = Kept<Schemas['User'], 'id' | 'username' | 'email' | 'is_admin'>
export type Tokens = Schemas['Tokens']
export type HouseState = Schemas['HouseState']

export type MessageStatus = 'queued' | 'streaming' | 'done' | 'stopped' | 'interrupted' | 'failed'

export interface TextPart { type: 'text'; text: string }
export interface ReasoningPart { type: 'reasoning'; text: string; seconds?: number | null }
export interface ToolCallPart { type: 'tool_call'; id: string; name: string; arguments: unknown }
export interface ToolResultPart { type: 'tool_result'; id: string; ok: boolean; content: unknown; data?: unknown }
export interface FilePart { type: 'file'; file: string; name: string; mime: string; size: number }
export type Part = TextPart | ReasoningPart | ToolCallPart | ToolResultPart | FilePart

export interface Usage {
  prompt_tokens?: number
  reused_tokens?: number
  completion_tokens?: number
  ttft_ms?: number
  tokens_per_second?: number
}

export interface Failure { code: string; message: string; retryable?: boolean; extra?: Record<string, unknown> }

/** The schema knows parts, usage and errors only as objects, role and status only as strings: those are spelled out here. */
export interface Message extends Omit<Schemas['MessageRead'], 'role' | 'status' | 'parts' | 'usage' | 'error'> {
  role: 'user' | 'assistant' | 'system' | 'tool'
  status: MessageStatus
  parts: Part[]
  usage: Usage | null
  error?: Failure | null
}

/** `deleted` comes on the socket only, in `conversation.changed`. */
export type Conversation = Kept<Schemas['ConversationRead'], 'id' | 'title'> & { deleted?: boolean }

export type ModelState = Schemas['Model']['state']
export type Model = Kept<Schemas['Model'], 'id' | 'name' | 'state'>
export type ModelDownload = Schemas['ModelDownload']

export type Verdict = 'fits' | 'fits_after_eviction' | 'fits_with_less_context' | 'does_not_fit'
export interface FitDevice {
  device: string
  weights_bytes: number
  kv_bytes: number
  kv_bytes_per_token: number
  overhead_bytes: number
  needed_bytes: number
  free_bytes: number
  total_bytes: number
  context: number
  concurrency: number
  largest_context: number | null
  verdict: Verdict
  evicts: { id: string; name: string }[]
  reasons: { code: string; [fact: string]: unknown }[]
}
/** What a model would need, per device, before any load; `sentence` says it in the reader's language. */
export interface Fit { devices: FitDevice[]; best: string | null; known: boolean; sentence?: string }

export type Phase =
  | { phase: 'queued'; position?: number; notice?: Failure }
  | { phase: 'evicting'; models?: string[] }
  | { phase: 'loading'; progress?: number | null }
  | { phase: 'prefill'; done?: number; total?: number; reused?: number }
  | { phase: 'generating' }
  | { phase: 'tool' }
  | { phase: 'resuming' }

export type TurnEvent =
  | ({ kind: 'status' } & Phase)
  | { kind: 'route'; task: string; reason?: string }
  | { kind: 'reasoning'; text: string }
  | { kind: 'text'; text: string }
  | { kind: 'tool_call'; id: string; name: string; arguments: unknown }
  | { kind: 'confirm'; call: unknown }
  | { kind: 'tool_result'; id: string; ok: boolean; content: unknown; data?: unknown }
  | ({ kind: 'usage' } & Usage)
  | { kind: 'finished'; reason: 'stop' | 'length' | 'stopped' | 'interrupted' }
  | { kind: 'failed'; code: string; message: string; retryable?: boolean; extra?: Record<string, unknown> }

export type ServerFrame =
  | { type: 'turn.accepted'; client_id: string; turn: string; conversation: string; user_message: string | Message | null; assistant_message: string | Message }
  | { type: 'turn.started'; turn: string; conversation: string; assistant_message: string | Message }
  | { type: 'turn.event'; turn: string; conversation: string; seq: number; event: TurnEvent }
  | { type: 'conversation.changed'; conversation: Conversation }
  | { type: 'model.changed'; model: string; state: ModelState; progress?: number | null; error?: Model['error']; download?: Model['download'] }
  | { type: 'error'; client_id?: string; turn?: string; code: string; message: string; extra?: Record<string, unknown> }
  | { type: 'pong'; t?: number }
  | { type: 'heartbeat'; t?: number }

export type ClientFrame =
  | { type: 'turn.start'; client_id: string; conversation: string | null; content: string; model?: string; params?: Record<string, unknown> }
  | { type: 'turn.stop'; turn: string }
  | { type: 'turn.watch'; turn: string; after_seq: number }
  | { type: 'turn.retry'; client_id: string; message: string; model?: string }
  | { type: 'turn.edit'; client_id: string; message: string; content: string }
  | { type: 'turn.continue'; client_id: string; message: string }
  | { type: 'turn.confirm'; turn: string; call: string; allow: boolean }
  | { type: 'ping'; t: number }
