export type Tongue = 'curl' | 'python' | 'javascript'
/** Stands where the reader's own key goes. */
export const NO_KEY = 'YOUR_API_KEY'

/** For a POSIX shell: nothing inside is expanded. */
const quoted = (text: string): string => `'${text.replaceAll('\'', '\'\\\'\'')}'`

/** A call of this model at this house that runs as it stands once the key is real. `origin` has no slash at its end. */
export function callOf(tongue: Tongue, facts: { origin: string; model: string; key: string | null; hello: string }): string {
  const { origin, model, hello } = facts
  const key = facts.key ?? NO_KEY
  // JSON strings are string literals of Python and of JavaScript, too.
  const [name, words] = [JSON.stringify(model), JSON.stringify(hello)]
  const messages = `[{"role": "user", "content": ${words}}]`
  switch (tongue) {
    case 'curl': return [
      `curl ${quoted(`${origin}/v1/chat/completions`)} \\`,
      `  -H ${quoted(`Authorization: Bearer ${key}`)} \\`,
      '  -H \'Content-Type: application/json\' \\',
      `  -d ${quoted(`{"model": ${name}, "messages": ${messages}}`)}`,
    ].join('\n')
    case 'python': return [
      'from openai import OpenAI  # pip install openai',
      '',
      `client = OpenAI(base_url=${JSON.stringify(`${origin}/v1`)}, api_key=${JSON.stringify(key)})`,
      'stream = client.chat.completions.create(',
      `    model=${name},`,
      `    messages=${messages},`,
      '    stream=True,',
      ')',
      'for chunk in stream:',
      '    if chunk.choices:',
      '        print(chunk.choices[0].delta.content or "", end="", flush=True)',
    ].join('\n')
    case 'javascript': return [
      `const answer = await fetch(${JSON.stringify(`${origin}/v1/chat/completions`)}, {`,
      '  method: "POST",',
      `  headers: { Authorization: ${JSON.stringify(`Bearer ${key}`)}, "Content-Type": "application/json" },`,
      '  body: JSON.stringify({',
      `    model: ${name},`,
      `    messages: [{ role: "user", content: ${words} }],`,
      '  }),',
      '});',
      'console.log((await answer.json()).choices[0].message.content);',
    ].join('\n')
  }
}
