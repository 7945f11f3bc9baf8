import { Think } from '@ant-design/x'
import { PaperClipOutlined } from '@ant-design/icons'
import { useState } from 'react'
import { useT } from '@/shared/i18n'
import type { Part, ReasoningPart, ToolCallPart, ToolResultPart } from '@/shared/types/wire'
import { Markdown } from '../markdown/Markdown'

/** One typed part of an answer. `live`: text may still be added to it. */
export function PartView({ part, parts, live }: { part: Part; parts: Part[]; live: boolean }) {
  switch (part.type) {
    case 'text': return part.text ? <Markdown text={part.text} live={live} /> : null
    case 'reasoning': return <Thoughts part={part} live={live} />
    case 'tool_call': return <ToolCall call={part} result={parts.find((other): other is ToolResultPart => other.type === 'tool_result' && other.id === part.id)} />
    case 'tool_result': return null
    case 'file': return <div className="file-part"><PaperClipOutlined /> {part.name}</div>
  }
}

/** Open while the model thinks, folded when the answer begins; after a click it stays as the reader left it. */
function Thoughts({ part, live }: { part: ReasoningPart; live: boolean }) {
  const { t } = useT()
  const [chosen, setChosen] = useState<boolean | null>(null)
  const title = part.seconds ? t('chat.thoughtsSeconds', { seconds: Math.max(1, Math.round(part.seconds)) }) : t('chat.thoughts')
  return (
    <Think className="thoughts" title={title} loading={live} expanded={chosen ?? live} onExpand={setChosen}>
      <div className="thoughts-text">{part.text.trim()}</div>
    </Think>
  )
}

const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value, null, 2))

function ToolCall({ call, result }: { call: ToolCallPart; result?: ToolResultPart }) {
  const { t } = useT()
  const key = !result ? 'chat.tool.call' : result.ok ? 'chat.tool.done' : 'chat.tool.failed'
  return (
    <details className="tool-call">
      <summary>{t(key, { name: call.name })}</summary>
      <div className="tool-label">{t('chat.tool.arguments')}</div>
      <pre tabIndex={0}>{shown(call.arguments)}</pre>
      {result && <><div className="tool-label">{t('chat.tool.result')}</div><pre tabIndex={0}>{shown(result.content)}</pre></>}
    </details>
  )
}
