import { CheckOutlined, CopyOutlined } from '@ant-design/icons'
import { useMemo } from 'react'
import { useT } from '@/shared/i18n'
import { useStore } from '@/shared/lib/store'
import { useCopied } from '@/shared/ui/useCopied'
import { highlighted, languageOf, languagesReady } from './highlight'

/** Beyond this, colours cost more than they give. */
const MAX_CHARS = 60_000

export function CodeBlock({ code, info }: { code: string; info?: string }) {
  const { t } = useT()
  const [copied, copy] = useCopied()
  const arrived = useStore(languagesReady)
  const language = languageOf(info)
  const html = useMemo(
    () => (language && code.length < MAX_CHARS ? highlighted(code, language) : null),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- a language that arrives changes the answer
    [code, language, arrived],
  )
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
        {html === null ? <code>{code}</code> : <code dangerouslySetInnerHTML={{ __html: html }} />}
      </pre>
    </figure>
  )
}
