import { describe, expect, it } from 'vitest'
import { blocksOf, fenceOf } from './blocks'
import { languageOf } from './highlight'
import { formulaAt, withoutHalfFormula } from './math'
import { CodePainter } from './painter'

describe('blocks', () => {
  const whole = 'One.\n\nTwo\nlines.\n\n```py\na\n\nb\n```\n\n- x\n\n- y\n\n  z\n\nEnd $$\n\na\n\n$$ here.\n\n| a |\n|---|\n| b |\n\nLast'

  it('are the text again when joined, at every length a stream can have', () => {
    for (let length = 0; length <= whole.length; length += 1) expect(blocksOf(whole.slice(0, length)).join('')).toBe(whole.slice(0, length))
  })

  it('do not cut code, lists or formulas', () => {
    expect(blocksOf(whole)).toEqual(['One.\n\n', 'Two\nlines.\n\n', '```py\na\n\nb\n```\n\n', '- x\n\n- y\n\n  z\n\n', 'End $$\n\na\n\n$$ here.\n\n', '| a |\n|---|\n| b |\n\n', 'Last'])
  })

  it('that are settled never change while more text comes', () => {
    let before: string[] = []
    for (let length = 0; length <= whole.length; length += 1) {
      const now = blocksOf(whole.slice(0, length))
      expect(now.slice(0, before.length - 1)).toEqual(before.slice(0, -1))
      before = now
    }
  })

  it('cut around code at the margin, and leave code in lists and quotes where it is', () => {
    expect(blocksOf('So:\n```js\na\n```\nThen')).toEqual(['So:\n', '```js\na\n```\n', 'Then'])
    expect(blocksOf('- x\n  ```js\n  a\n  ```\n- y')).toHaveLength(1)
    expect(blocksOf('> ```js\n> a\n> ```\n> y')).toHaveLength(1)
    expect(blocksOf('```x``` is code')).toHaveLength(1)
    expect(blocksOf('~~~~\n```\n~~~~\n\n\nEnd')).toEqual(['~~~~\n```\n~~~~\n\n\n', 'End'])
    expect(blocksOf('```py\n[a]: b\n```\nEnd')).toHaveLength(2)
  })

  it('stay together when a link is defined for all of them', () => {
    expect(blocksOf('See [a].\n\nMore.\n\n[a]: http://x')).toHaveLength(1)
  })
})

describe('fenced code', () => {
  it('is read without its fences, open or closed', () => {
    expect(fenceOf('```py title="x"\na\n\nb\n```\n\n')).toEqual({ code: 'a\n\nb', info: 'py title="x"' })
    expect(fenceOf('```\na\n')).toEqual({ code: 'a', info: undefined })
    expect(fenceOf('````md\n```\n````')).toEqual({ code: '```', info: 'md' })
    expect(fenceOf('```py\n```')).toEqual({ code: '', info: 'py' })
    expect(fenceOf('a `b`')).toBeNull()
    expect(fenceOf('```x``` y')).toBeNull()
    expect(fenceOf('  ```py\na')).toBeNull()
  })

  it('shows no half fence and no half name while it streams', () => {
    const whole = '```python\na\nb\n```\n'
    for (let length = 3; length <= whole.length; length += 1) {
      const fence = fenceOf(whole.slice(0, length))
      expect('a\nb').toContain(fence?.code)
      expect([undefined, 'python']).toContain(fence?.info)
    }
  })
})

describe('the colours of growing code', () => {
  const lines = (count: number) => Array.from({ length: count }, (_, index) => `line ${index}\n`).join('')
  const painterThat = (closed: (code: string) => boolean) => {
    const painted: number[] = []
    return { painted, painter: new CodePainter((code) => { painted.push(code.length); return { html: `<i>${code}</i>`, closed: closed(code) } }) }
  }

  it('cost what is new, and lose nothing', () => {
    const { painted, painter } = painterThat(() => true)
    const whole = lines(5000)
    for (let length = 0; length <= whole.length; length += 97) {
      const pieces = painter.paint(whole.slice(0, length), 'python')
      expect(pieces.map((piece) => piece.text).join('')).toBe(whole.slice(0, length))
    }
    expect(Math.max(...painted)).toBeLessThan(2000)
  })

  it('never cut where something is open', () => {
    const { painter } = painterThat(() => false)
    expect(painter.paint(lines(600), 'python')).toHaveLength(1)
  })

  it('begin anew with other code or another language', () => {
    const { painter } = painterThat(() => true)
    painter.paint(lines(600), 'python')
    expect(painter.paint('other', 'python')).toEqual([{ text: 'other', html: '<i>other</i>' }])
    expect(painter.paint('other', null)).toEqual([{ text: 'other', html: null }])
  })
})

describe('formulas', () => {
  it('are found in all four forms', () => {
    expect(formulaAt('$n^2$ rest')).toMatchObject({ tex: 'n^2', display: false })
    expect(formulaAt('\\(a\\) rest')).toMatchObject({ tex: 'a', display: false })
    expect(formulaAt('$$\na\n$$')).toMatchObject({ tex: 'a', display: true })
    expect(formulaAt('\\[a\\]')).toMatchObject({ tex: 'a', display: true })
  })

  it('are not money', () => {
    expect(formulaAt('$5 and $6')).toBeNull()
    expect(formulaAt('$ 5$')).toBeNull()
  })

  it('wait until they are whole', () => {
    expect(withoutHalfFormula('so $$\\sum')).toBe('so ')
    expect(withoutHalfFormula('so \\(a')).toBe('so ')
    expect(withoutHalfFormula('so $n^')).toBe('so ')
    expect(withoutHalfFormula('so $n^2$ is')).toBe('so $n^2$ is')
    expect(withoutHalfFormula('it costs $5 and')).toBe('it costs $5 and')
    expect(withoutHalfFormula('code `$$x` stays')).toBe('code `$$x` stays')
    expect(withoutHalfFormula('```sh\necho $$ \\(')).toBe('```sh\necho $$ \\(')
  })
})

describe('languages', () => {
  it('are known by their short names, and unknown ones are plain', () => {
    expect(languageOf('py title="x"')).toBe('python')
    expect(languageOf('C++')).toBe('cpp')
    expect(languageOf('constructor')).toBeNull()
    expect(languageOf(undefined)).toBeNull()
  })
})
