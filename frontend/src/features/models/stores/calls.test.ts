import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { callOf, NO_KEY } from './calls'

const facts = { origin: 'http://house:8000', model: 'It\'s "my" $HOME `model` 模型\\', key: 'hk_1', hello: 'Hi, it\'s me' }

/** What the shell hands to curl. */
function argumentsOf(line: string): string[] {
  const shown = execFileSync('sh', ['-c', `curl() { for a in "$@"; do printf '%s\\0' "$a"; done; }\n${line}`], { encoding: 'utf8' })
  return shown.split('\0').slice(0, -1)
}

describe('the call of the API', () => {
  it('reaches curl as it was meant, whatever the model is called', () => {
    const [url, , auth, , type, , body] = argumentsOf(callOf('curl', facts))
    expect([url, auth, type]).toEqual(['http://house:8000/v1/chat/completions', 'Authorization: Bearer hk_1', 'Content-Type: application/json'])
    expect(JSON.parse(body ?? '')).toEqual({ model: facts.model, messages: [{ role: 'user', content: facts.hello }] })
  })

  it('is JavaScript that asks this model', async () => {
    const asked: [string, RequestInit][] = []
    const fetch = (url: string, init: RequestInit) => { asked.push([url, init]); return Promise.resolve({ json: () => ({ choices: [{ message: { content: 'Hello' } }] }) }) }
    const said: unknown[] = []
    const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor as new (...names: string[]) => (...values: unknown[]) => Promise<void>
    await new AsyncFunction('fetch', 'console', callOf('javascript', facts))(fetch, { log: (text: unknown) => said.push(text) })
    expect(said).toEqual(['Hello'])
    expect(JSON.parse(String(asked[0]?.[1].body))).toMatchObject({ model: facts.model })
  })

  it('has a place for the key until there is one', () => {
    for (const tongue of ['curl', 'python', 'javascript'] as const) {
      expect(callOf(tongue, { ...facts, key: null })).toContain(NO_KEY)
      expect(callOf(tongue, facts)).not.toContain(NO_KEY)
    }
  })
})
