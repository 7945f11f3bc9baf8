import type { Key, Params } from '@/shared/i18n'
import type { Failure, Model } from '@/shared/types/wire'
import type { Entry } from './transcript'

export type Remedy = 'retry' | 'choose' | 'shorten' | 'models' | 'back'

/** Known failures: the page's own words for them, and what helps, the best first. */
const KNOWN: Record<string, { words: Key; remedies: Remedy[] }> = {
  context_too_long: { words: 'status.fail.context_too_long', remedies: ['shorten', 'choose'] },
  out_of_memory: { words: 'status.fail.out_of_memory', remedies: ['back', 'choose', 'shorten', 'retry'] },
  engine_died: { words: 'status.fail.engine_died', remedies: ['retry', 'choose'] },
  busy: { words: 'status.fail.busy', remedies: ['retry', 'choose'] },
  unavailable: { words: 'status.fail.unavailable', remedies: ['retry'] },
  load_failed: { words: 'status.fail.load_failed', remedies: ['back', 'choose', 'models', 'retry'] },
  model_not_found: { words: 'status.fail.model_not_found', remedies: ['back', 'choose', 'models'] },
  no_model: { words: 'status.fail.no_model', remedies: ['choose', 'models'] },
  conversation_busy: { words: 'status.fail.conversation_busy', remedies: ['retry'] },
}
const UNKNOWN: Remedy[] = ['retry', 'choose']

/** Known failures in the page's own words, others in the server's, which are written for people. */
export function reasonOf(failure: Failure | null, t: (key: Key, params?: Params) => string): string {
  const known = failure && KNOWN[failure.code]
  if (!known) return failure?.message || t('status.fail.plain', { code: failure?.code ?? 'unknown' })
  const { tokens, limit } = failure.extra ?? {}
  if (failure.code === 'context_too_long' && typeof tokens === 'number' && typeof limit === 'number') return t('status.fail.context_counted', { tokens, limit })
  if (failure.code === 'load_failed' && isSentence(failure.message)) return t('status.fail.load_failedWhy', { reason: failure.message })
  return t(known.words)
}

/** A library's exception is for the log of the models page; a sentence says why. */
const isSentence = (message: string): boolean => /[.!?。！？)）]$/.test(message) && !/^[\w.]*(Error|Exception)\b/.test(message)

/** Only what can be done here: another model must exist, and a question to shorten. */
export function remediesFor(failure: Failure | null, can: { others: boolean; shorten: boolean; back?: boolean }): Remedy[] {
  const wanted = (failure && KNOWN[failure.code]?.remedies) || UNKNOWN
  const possible = wanted.filter((remedy) => (remedy === 'choose' ? can.others : remedy === 'shorten' ? can.shorten : remedy === 'back' ? can.back === true : true))
  return possible.length > 0 ? possible : ['models']
}

/** The model that answered last before this entry and was not the one that failed: it may still be serving. */
export function modelBefore(entries: Entry[], at: Entry, models: Model[]): Model | null {
  const index = entries.findIndex((entry) => entry.key === at.key)
  const before = entries.slice(0, Math.max(0, index)).findLast(({ message }) => message.role === 'assistant' && message.status !== 'failed' && message.model !== null && message.model !== at.message.model)
  return models.find((model) => model.id === before?.message.model || model.name === before?.message.model) ?? null
}
