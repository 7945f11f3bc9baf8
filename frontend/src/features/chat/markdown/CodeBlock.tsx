import { CheckOutlined, CopyOutlined } from '@ant-design/icons'
import { memo, useMemo, useState } from 'react'
import { useT } from '@/shared/i18n'
import { useStore } from '@/shared/lib/store'
import { useCopied } from '@/shared/ui/useCopied'
import { CodePainter } from './painter'
import { highlighted, languageOf, languagesReady } from './highlight'

export const CodeBlock = memo(function CodeBlock({ code, info }: { code: string; info?: string }) {
  const { t } = useT()
  const [copied, copy] = useCopied()
  const arrived = useStore(languagesReady)
  const language = languageOf(info)
  const [painter] = useState(() => new CodePainter(highlighted))
  // eslint-disable-next-line react-hooks/exhaustive-deps -- a language that arrives changes the answer
  const pieces = useMemo(() => painter.paint(code, language), [painter, code, language, arrived])
  const label = info?.trim().split(/\s/)[0] ?? ''
  return (
    <figure className="code-block">
      <figcaption>
        <span className="code-name">{label}</span>
        <button type="button" className="code-copy" onClick={() => void copy(code)} aria-label={t('chat.copyCode')}>
          {copied ? <CheckOutlined /> : <CopyOutlined />} <span>{copied ? t('common.copied') : t('common.copy')}</span>
        </button>
      </figcaption>
      <pre tabIndex={0} aria-label={t('chat.codeLabel', { lang: label || 'text' })}>
        <code>{pieces.map((piece, index) => <Piece key={index} {...piece} />)}</code>
      </pre>
    </figure>
  )
})

const Piece = memo(function Piece({ text, html }: { text: string; html: string | null }) {
  return html === null ? <span className="code-piece">{text}</span> : <span className="code-piece" dangerouslySetInnerHTML={{ __html: html }} />
})
