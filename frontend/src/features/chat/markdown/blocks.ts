/**
 * Cuts Markdown into blocks that stand alone, so that a stream draws only its last block anew.
 * It cuts at a blank line only where no list, quote, table, code or formula can go on across it;
 * the joined blocks are the text again.
 */
export function blocksOf(text: string): string[] {
  if (/^ {0,3}\[[^\]\n]+\]:/m.test(text)) return [text] // a link defined once is meant everywhere
  const blocks: string[] = []
  let start = 0
  let at = 0
  let fence = ''
  let formula = ''
  let blank = false
  while (at < text.length) {
    const end = text.indexOf('\n', at)
    const line = end === -1 ? text.slice(at) : text.slice(at, end)
    if (blank && !fence && !formula && at > start && standsAlone(line)) {
      blocks.push(text.slice(start, at))
      start = at
    }
    if (!formula) fence = fenceAfter(line, fence)
    if (!fence) formula = formulaAfter(line, formula)
    blank = line.trim() === ''
    if (end === -1) break
    at = end + 1
  }
  if (start < text.length) blocks.push(text.slice(start))
  return blocks
}

/** Whether a line that follows a blank one begins something new; `-`, `1.`, `>` and indents may belong to what was before. */
function standsAlone(line: string): boolean {
  return line.trim() !== '' && !/^(\s|[-+*]|\d{1,9}(?:[.)]|$)|>)/.test(line)
}

function fenceAfter(line: string, open: string): string {
  const mark = /^ {0,3}(`{3,}|~{3,})(.*)$/.exec(line)
  if (!mark?.[1]) return open
  if (!open) return mark[1]
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
