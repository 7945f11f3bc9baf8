import { Tag } from 'antd'
import type { ReactNode } from 'react'
import { useT, type Key } from '@/shared/i18n'
import type { Tone } from '../stores/fit'

const ABILITIES: Record<string, Key | undefined> = {
  continue: 'hub.can.continue', reasoning: 'hub.can.reasoning', tools: 'hub.can.tools', vision: 'hub.can.vision', embedding: 'hub.can.embedding', code: 'hub.can.code',
}

export function Abilities({ words }: { words: string[] }) {
  const { t } = useT()
  if (words.length === 0) return null
  return <span className="card-tags">{words.map((word) => <Tag key={word} variant="filled">{ABILITIES[word] ? t(ABILITIES[word]) : word}</Tag>)}</span>
}

/** Whether there is room, as a sign and a word, never as a colour alone. */
export function RoomTag({ tone, words }: { tone: Tone | null; words?: string }) {
  const { t } = useT()
  return <span className={`room-tag room-${tone ?? 'unknown'}`}><span className="room-sign" aria-hidden="true">{tone ? { good: '✓', close: '~', bad: '✕' }[tone] : '?'}</span>{words ?? t(`hub.room.${tone ?? 'unknown'}`)}</span>
}

/** Names and values in two columns; what nobody told is left out. */
export function Facts({ rows }: { rows: [string, ReactNode][] }) {
  return <dl className="card-facts">{rows.filter(([, value]) => value !== null && value !== undefined && value !== '').map(([label, value]) => <div key={label}><dt>{label}</dt><dd>{value}</dd></div>)}</dl>
}
