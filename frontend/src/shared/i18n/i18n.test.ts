import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { en } from './en'
import { zh } from './zh'

const placeholders = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort()

const root = join(import.meta.dirname, '../..')
const source = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.tsx?$/.test(file) && !/\.test\.ts$|i18n[\\/](en|zh)\.ts$/.test(file))
  .map((file) => readFileSync(join(root, file), 'utf8')).join('\n')
const made = [...source.matchAll(/`([\w.]+\.)\$\{/g)].map((match) => match[1] ?? '')

describe('the two languages', () => {
  it('say nothing that no page says', () => {
    expect(Object.keys(en).filter((key) => !source.includes(`'${key}'`) && !made.some((prefix) => key.startsWith(prefix)))).toEqual([])
  })

  it('have the same keys', () => {
    expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort())
  })

  it('fill in the same facts', () => {
    for (const key of Object.keys(en) as (keyof typeof en)[]) expect(placeholders(zh[key]), key).toEqual(placeholders(en[key]))
  })

  it('leave nothing empty', () => {
    for (const text of [...Object.values(en), ...Object.values(zh)]) expect(text.trim()).not.toBe('')
  })
})
