/** What travels between page and server: docs of the REST and WebSocket contract, as types. */

export interface Page<T> { results: T[]; next: string | null }

export interface User { id: string | number; username: string; email: string; is_admin: boolean; language?: string }

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

export interface Message {
  id: string
  parent: string | null
  siblings: string[]
  role: 'user' | 'assistant' | 'system' | 'tool'
  status: MessageStatus
  parts: Part[]
  model: string | null
  usage: Usage | null
  created: string
  turn: { id: string; seq: number } | null
  error?: Failure | null
}

export interface Conversation {
  id: string
  title: string
  pinned?: boolean
  archived?: boolean
  model?: string | null
  created?: string
  updated?: string
  running?: boolean
  deleted?: boolean
}

export type ModelState = 'absent' | 'downloading' | 'stopped' | 'queued' | 'loading' | 'ready' | 'draining' | 'failed'

export interface Model {
  id: string
  name: string
  family?: string | null
  context_length?: number | null
  capabilities?: string[]
  engine?: string | null
  state: ModelState
  progress?: number | null
  device?: string | null
  memory_bytes?: number | null
  error?: string | Failure | null
  is_default?: boolean
  /** Administrators also see what is switched off. */
  enabled?: boolean
}

export type Phase =
  | { phase: 'queued'; position?: number }
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
  | { type: 'model.changed'; model: string; state: ModelState; progress?: number | null; error?: Model['error'] }
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
