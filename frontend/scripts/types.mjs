// Writes src/shared/types/api.d.ts from the server's own description of its REST API.
// PYTHON names an interpreter with the server's packages; otherwise the house's environment is used.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const page = fileURLToPath(new URL('..', import.meta.url))
const house = fileURLToPath(new URL('../..', import.meta.url))
const own = ['.venv/bin/python', '.venv/Scripts/python.exe'].map((path) => house + path).find(existsSync)
const python = process.env.PYTHON ?? own ?? 'python3'

const schema = execFileSync(python, ['manage.py', 'spectacular', '--format', 'openapi-json', '--lang', 'en'], { cwd: house, maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'ignore'] })
execFileSync(process.execPath, [`${page}node_modules/openapi-typescript/bin/cli.js`, '--output', 'src/shared/types/api.d.ts'], { cwd: page, input: schema, stdio: ['pipe', 'inherit', 'inherit'] })
