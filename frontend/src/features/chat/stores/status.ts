import type { Translator } from '@/shared/i18n'
import type { Phase } from '@/shared/types/wire'
import { reasonOf } from './failures'
import type { Entry } from './transcript'

export interface Line { text: string; tone: 'quiet' | 'busy' | 'warn' | 'bad' }
type Words = Pick<Translator, 't' | 'percent' | 'ordinal'>

/** The one short line that says what is true now; null when the text itself says enough. */
export function statusLine(entry: Entry, words: Words, facts: { model: string; connected: boolean; now: number }): Line | null {
  const { t } = words
  switch (entry.message.status) {
    case 'queued':
    case 'streaming': return { text: facts.connected || !entry.live ? running(entry, words, facts) : t('status.paused'), tone: facts.connected ? 'busy' : 'warn' }
    case 'stopped': return { text: t('status.stopped'), tone: 'quiet' }
    case 'interrupted': return { text: t('status.interrupted'), tone: 'warn' }
    case 'failed': return { text: t('status.failed', { message: reasonOf(entry.failure, t) }), tone: 'bad' }
    default: break
  }
  if (entry.reason === 'length') return { text: t('status.length'), tone: 'quiet' }
  const empty = !entry.message.parts.some((part) => part.type !== 'text' || part.text.trim())
  return empty ? { text: t('status.empty'), tone: 'warn' } : null
}

function running(entry: Entry, words: Words, facts: { model: string; connected: boolean; now: number }): string {
  const { t } = words
  if (entry.delivery?.state === 'sending') return t(facts.connected ? 'status.sending' : 'chat.offline')
  const { thinkingSince: since = null, phase = null } = entry.live ?? {}
  // Within a thought the model may have to be loaded again: then it does not think.
  if (since !== null && (!phase || phase.phase === 'generating')) return t('status.thinking', { seconds: Math.max(0, Math.round((facts.now - since) / 1000)) })
  if (phase) return phaseText(phase, entry, words, facts.model)
  return t(entry.message.parts.length > 0 ? 'status.generating' : 'status.queuedPlain')
}

function phaseText(phase: Phase, entry: Entry, { t, percent, ordinal }: Words, model: string): string {
  switch (phase.phase) {
    case 'queued': return phase.position ? t('status.queued', { position: ordinal(phase.position) }) : t('status.queuedPlain')
    case 'evicting': return t('status.evicting', { models: (phase.models ?? []).join(', ') || '…' })
    case 'loading': return typeof phase.progress === 'number' ? t('status.loading', { model, percent: percent(phase.progress) }) : t('status.loadingPlain', { model })
    case 'prefill': {
      if (!phase.total) return t('status.prefillPlain')
      const counts = { done: phase.done ?? 0, total: phase.total, reused: phase.reused ?? 0 }
      return t(phase.reused ? 'status.prefillReused' : 'status.prefill', counts)
    }
    case 'tool': {
      const call = entry.message.parts.findLast((part) => part.type === 'tool_call')
      return call ? t('status.tool', { name: call.name }) : t('status.toolPlain')
    }
    case 'resuming': return t('status.resuming')
    case 'generating': {
      const speed = entry.message.usage?.tokens_per_second
      return speed ? t('status.generatingSpeed', { speed: Math.round(speed) }) : t('status.generating')
    }
  }
}
