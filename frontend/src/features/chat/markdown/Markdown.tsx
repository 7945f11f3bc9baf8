import XMarkdown, { type ComponentProps } from '@ant-design/x-markdown'
import { memo, useMemo, type ReactNode } from 'react'
import { useT } from '@/shared/i18n'
import { blocksOf, fenceOf } from './blocks'
import { CodeBlock } from './CodeBlock'
import { Formula } from './Formula'
import { MATH_TAG, mathExtension, withoutHalfFormula } from './math'

const STREAMING = { hasNextChunk: true }
const SETTLED = { hasNextChunk: false }
const PURIFY = { ADD_ATTR: ['data-tex', 'data-display'], FORBID_TAGS: ['style', 'form', 'iframe'], FORBID_ATTR: ['style'] }

const plain = (node: ReactNode): string => (Array.isArray(node) ? node.map(plain).join('') : typeof node === 'string' ? node : '')

function Code({ children, block, lang }: ComponentProps) {
  const text = plain(children)
  return block ? <CodeBlock code={text.replace(/\n$/, '')} info={lang} /> : <code className="code-inline">{children}</code>
}

const Bare = ({ children }: ComponentProps) => <>{children}</>
const Table = ({ children }: ComponentProps) => <div className="table-scroll" tabIndex={0}><table>{children}</table></div>

function Link({ children, ...rest }: ComponentProps) {
  const { href } = rest as { href?: string }
  return <a href={href} target="_blank" rel="noopener noreferrer">{children}</a>
}

/** A picture from elsewhere would tell a stranger that it was read: it stays a link until someone follows it. */
function Picture(props: ComponentProps) {
  const { t } = useT()
  const { src, alt } = props as { src?: string; alt?: string }
  return <a href={src} target="_blank" rel="noopener noreferrer">{t('chat.imageLink', { name: alt || src || '' })}</a>
}

const COMPONENTS = { code: Code, pre: Bare, table: Table, a: Link, img: Picture, [MATH_TAG]: Formula as React.ComponentType<ComponentProps> }

const Block = memo(function Block({ text, live }: { text: string; live: boolean }) {
  const fence = fenceOf(text)
  if (fence) return <CodeBlock {...fence} /> // nothing to parse, and it stays the same element when it ends
  return (
    <XMarkdown content={live ? withoutHalfFormula(text) : text} config={mathExtension} components={COMPONENTS}
      streaming={live ? STREAMING : SETTLED} dompurifyConfig={PURIFY} escapeRawHtml disableDefaultStyles />
  )
})

/** An answer's text. While it streams, only its last block is drawn anew and half-open marks wait. */
export const Markdown = memo(function Markdown({ text, live }: { text: string; live: boolean }) {
  const blocks = useMemo(() => blocksOf(text), [text])
  return (
    <div className="prose">
      {blocks.map((block, index) => <Block key={index} text={block} live={live && index === blocks.length - 1} />)}
    </div>
  )
})
