import type { Tokens, XMarkdownProps } from '@ant-design/x-markdown'

/** Formulas become this element; the component behind it fetches KaTeX when the first one is seen. */
export const MATH_TAG = 'hearth-math'

interface Formula { raw: string; tex: string; display: boolean }

const FORMS: [RegExp, boolean][] = [
  [/^\$\$([\s\S]+?)\$\$/, true],
  [/^\\\[([\s\S]+?)\\\]/, true],
  [/^\\\(([\s\S]+?)\\\)/, false],
  // Pandoc's rule, so that "$5 and $6" stays money: no space inside the dollars, no digit after them.
  [/^\$(?![\s$])((?:\\.|[^\\\n$])*?[^\s\\])\$(?![\d$])/, false],
]

export function formulaAt(source: string): Formula | null {
  for (const [form, display] of FORMS) {
    const match = form.exec(source)
    if (match?.[1]?.trim()) return { raw: match[0], tex: match[1].trim(), display }
  }
  return null
}

/** While text streams in, a formula whose end is not here yet waits; nobody should see raw TeX flash by. */
export function withoutHalfFormula(text: string): string {
  const code = /(`{3,}|~{3,})[\s\S]*?(?:\1|$)|`[^`\n]*(?:`|$)/g
  const bare = text.replace(code, (span) => ' '.repeat(span.length))
  let at = 0
  for (;;) {
    const start = bare.slice(at).search(/\$\$|\\\[|\\\(/)
    if (start === -1) return text.slice(0, at) + withoutHalfDollar(text.slice(at), bare.slice(at))
    const open = at + start
    const mark = bare.slice(open, open + 2)
    const close = bare.indexOf(mark === '$$' ? '$$' : mark === '\\[' ? '\\]' : '\\)', open + 2)
    if (close === -1) return text.slice(0, open)
    at = close + 2
  }
}

/** `$x` at the very end of the last line may become a formula; `$5` is money and is shown. */
function withoutHalfDollar(text: string, bare: string): string {
  const line = bare.lastIndexOf('\n') + 1
  const closed = bare.slice(line).replace(/\$(?![\s$\d])(?:\\.|[^\\$])*?[^\s\\]\$(?![\d$])/g, (span) => ' '.repeat(span.length))
  const open = closed.search(/\$(?=$|[A-Za-z\\({|])/)
  return open === -1 || closed.length - open > 160 ? text : text.slice(0, line + open)
}

const escape = (text: string): string => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)
const render = (token: Tokens.Generic): string =>
  `<${MATH_TAG} data-tex="${escape(String(token.tex))}" data-display="${token.display ? 'yes' : 'no'}"></${MATH_TAG}>`

function startOf(source: string): number | undefined {
  const at = source.search(/\$|\\[[(]/)
  return at === -1 ? undefined : at
}

export const mathExtension: NonNullable<XMarkdownProps['config']> = {
  extensions: [
    {
      name: 'blockFormula',
      level: 'block',
      start: (source) => { const at = source.search(/(?:^|\n)(?:\$\$|\\\[)/); return at === -1 ? undefined : at },
      tokenizer(source) {
        const formula = /^(?:\$\$|\\\[)/.test(source) ? formulaAt(source) : null
        if (!formula?.display || !/^[ \t]*(?:\n|$)/.test(source.slice(formula.raw.length))) return undefined
        return { type: 'blockFormula', ...formula }
      },
      renderer: render,
    },
    {
      name: 'inlineFormula',
      level: 'inline',
      start: startOf,
      tokenizer(source) {
        const formula = formulaAt(source)
        return formula ? { type: 'inlineFormula', ...formula } : undefined
      },
      renderer: render,
    },
  ],
}
