import { use, Suspense, useMemo } from 'react'

type Katex = typeof import('katex').default
let katex: Promise<Katex> | null = null
const fetchKatex = (): Promise<Katex> => (katex ??= Promise.all([import('katex'), import('katex/dist/katex.min.css')]).then(([module]) => module.default))

interface Props { 'data-tex'?: string; 'data-display'?: string }

/** A formula; its TeX stands in as code until KaTeX is here, and stays when KaTeX cannot be fetched. */
export function Formula(props: Props) {
  const tex = props['data-tex'] ?? ''
  const display = props['data-display'] === 'yes'
  return (
    <Suspense fallback={<code className="formula-waits">{tex}</code>}>
      <Drawn tex={tex} display={display} />
    </Suspense>
  )
}

function Drawn({ tex, display }: { tex: string; display: boolean }) {
  const drawer = use(fetchKatex())
  const html = useMemo(
    () => drawer.renderToString(tex, { displayMode: display, throwOnError: false, errorColor: 'currentcolor', strict: false, trust: false, maxExpand: 200, maxSize: 50 }),
    [drawer, tex, display],
  )
  return <span className={display ? 'formula formula-display' : 'formula'} dangerouslySetInnerHTML={{ __html: html }} />
}
