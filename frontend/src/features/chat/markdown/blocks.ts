/**
 * Cuts Markdown into blocks that stand alone, so that a stream draws only its last block anew.
 * It cuts at a blank line only where no list, quote, table, code or formula can go on across it,
 * and around code that is fenced at the margin; the joined blocks are the text again.
 */
export function blocksOf(text: string): string[] {
  const blocks: string[] = []
  let start = 0
  let at = 0
  let fence = ''
  let formula = ''
  let blank = false
  let shut = false // this block is code that has ended; only blank lines may still join it
  const cut = (here: number) => {
    if (here > start) blocks.push(text.slice(start, here))
    start = here
  }
  while (at < text.length) {
    const end = text.indexOf('\n', at)
    const line = end === -1 ? text.slice(at) : text.slice(at, end)
    const next = end === -1 ? text.length : end + 1
    const before = fence
    if (!formula) fence = fenceAfter(line, fence)
    if (!before && !fence && LINK_DEFINITION.test(line)) return [text] // a link defined once is meant everywhere
    const begins = shut ? line.trim() !== '' : (blank && standsAlone(line)) || atMargin(line, fence)
    if (!before && !formula && begins) {
      cut(at)
      shut = false
    }
    if (before && !fence) shut = atMargin(text.slice(start, start + 1), before)
    if (!fence) formula = formulaAfter(line, formula)
    blank = line.trim() === ''
    at = next
  }
  cut(text.length)
  return blocks
}

export interface Fence { code: string; info: string | undefined }

/** A block that is nothing but code fenced at the margin, closed or still open; null for all others. */
export function fenceOf(block: string): Fence | null {
  const first = block.indexOf('\n')
  const head = first === -1 ? block : block.slice(0, first)
  const mark = atMargin(head, '`') ? fenceAfter(head, '') : ''
  if (!mark) return null
  if (first === -1) return { code: '', info: undefined } // half a name is no name
  const info = head.slice(mark.length).trim() || undefined
  const body = block.slice(first + 1)
  const whole = body.trimEnd()
  const start = whole.lastIndexOf('\n') + 1
  if (whole !== '' && fenceAfter(whole.slice(start), mark) === '') return { code: whole.slice(0, Math.max(0, start - 1)), info }
  // A closing fence that is only half here is not code.
  const last = body.slice(body.lastIndexOf('\n') + 1)
  return { code: (last !== '' && mark.startsWith(last) ? body.slice(0, -last.length) : body).replace(/\n$/, ''), info }
}

const LINK_DEFINITION = /^ {0,3}\[[^\]\n]+\]:/
const atMargin = (line: string, fence: string): boolean => fence !== '' && (line.startsWith('`') || line.startsWith('~'))

/** Whether a line that follows a blank one begins something new; `-`, `1.`, `>` and indents may belong to what was before. */
function standsAlone(line: string): boolean {
  return line.trim() !== '' && !/^(\s|[-+*]|\d{1,9}(?:[.)]|$)|>)/.test(line)
}

function fenceAfter(line: string, open: string): string {
  const mark = /^ {0,3}(`{3,}|~{3,})(.*)$/.exec(line)
  if (!mark?.[1]) return open
  if (!open) return mark[1].startsWith('`') && mark[2]?.includes('`') ? '' : mark[1] // ```x``` is code within a line
  const closes = mark[1][0] === open[0] && mark[1].length >= open.length && mark[2]?.trim() === ''
  return closes ? '' : open
}

function formulaAfter(line: string, open: string): string {
  let state = open
  for (const mark of line.match(/\$\$|\\\[|\\\]/g) ?? []) {
    if (state === '') state = mark === '\\]' ? '' : mark
    else if ((state === '$$' && mark === '$$') || (state === '\\[' && mark === '\\]')) state = ''
  }
  return state
}
