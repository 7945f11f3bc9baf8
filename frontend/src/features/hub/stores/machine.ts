import type { Source } from '../api/hub'

/** A path ends in .gguf where it names one file; everything else is a folder. */
export function sourceOf(path: string): Source {
  const told = path.trim()
  return { kind: /\.gguf$/i.test(told) ? 'gguf' : 'folder', path: told }
}

/** What a model of this path would be called: its last part, with the folder of a hub's cache put right. */
export function nameOf(path: string): string {
  const last = path.trim().replace(/[\\/]+$/, '').split(/[\\/]/).at(-1) ?? ''
  return last.replace(/\.gguf$/i, '').replace(/^models--/, '').split('--').at(-1) ?? ''
}
