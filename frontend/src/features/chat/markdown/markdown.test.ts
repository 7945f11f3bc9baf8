import { describe, expect, it } from 'vitest'
import { blocksOf } from './blocks'
import { languageOf } from './highlight'
import { formulaAt, withoutHalfFormula } from './math'

describe('blocks', () => {
  const whole = 'One.\n\nTwo\nlines.\n\n```py\na\n\nb\n```\n\n- x\n\n- y\n\n  z\n\nEnd $$\n\na\n\n$$ here.\n\n| a |\n|---|\n| b |\n\nLast'

  it('are the text again when joined, at every length a stream can have', () => {
    for (let length = 0; length <= whole.length; length += 1) expect(blocksOf(whole.slice(0, length)).join('')).toBe(whole.slice(0, length))
  })

  it('do not cut code, lists or formulas', () => {
    expect(blocksOf(whole)).toEqual(['One.\n\n', 'Two\nlines.\n\n', '```py\na\n\nb\n```\n\n- x\n\n- y\n\n  z\n\n', 'End $$\n\na\n\n$$ here.\n\n', '| a |\n|---|\n| b |\n\n', 'Last'])
  })

  it('that are settled never change while more text comes', () => {
    let before: string[] = []
    for (let length = 0; length <= whole.length; length += 1) {
      const now = blocksOf(whole.slice(0, length))
      expect(now.slice(0, before.length - 1)).toEqual(before.slice(0, -1))
      before = now
    }
  })

  it('stay together when a link is defined for all of them', () => {
    expect(blocksOf('See [a].\n\nMore.\n\n[a]: http://x')).toHaveLength(1)
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
