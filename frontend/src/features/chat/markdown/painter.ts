import type { Coloured } from './highlight'

export interface Piece { text: string; html: string | null }

/** A piece of whole lines is done when it is this long (characters). */
const PIECE = 1500
/** Beyond these, colours cost more than they give: for what is one endless string, and for all. */
const MAX_OPEN = 20_000
const MAX_CODE = 400_000

/**
 * Colours code that grows: pieces that are done are never coloured or drawn again, so each step costs
 * what is new and not what is there.
 */
export class CodePainter {
  private done: Piece[] = []
  private text = ''
  private language: string | null = null

  constructor(private readonly colour: (code: string, language: string) => Coloured | null) {}

  /** The pieces of `code`, in order; their texts joined are the code. */
  paint(code: string, language: string | null): Piece[] {
    if (language !== this.language || !code.startsWith(this.text)) {
      this.done = []
      this.text = ''
      this.language = language
    }
    if (language === null) return [{ text: code, html: null }]
    while (this.settle(code, language)) { /* the next piece */ }
    const rest = code.slice(this.text.length)
    const html = rest.length > MAX_OPEN || code.length > MAX_CODE ? null : (this.colour(rest, language)?.html ?? null)
    return rest === '' && this.done.length > 0 ? this.done : [...this.done, { text: rest, html }]
  }

  /** One more piece, if the code holds one that ends with nothing open. */
  private settle(code: string, language: string): boolean {
    const start = this.text.length
    if (code.length > MAX_CODE) return false
    for (let size = PIECE; size <= MAX_OPEN && start + size < code.length; size *= 2) {
      const end = code.indexOf('\n', start + size) + 1
      if (end === 0) return false
      const text = code.slice(start, end)
      const coloured = this.colour(text, language)
      if (coloured === null) return false
      if (!coloured.closed) continue
      this.done = [...this.done, { text, html: coloured.html }]
      this.text = code.slice(0, end)
      return true
    }
    return false
  }
}
