import type { Repo, RepoFile } from '../types'

/** One set of weights among several of a repository: a GGUF file or the pieces of one; `files` is empty for the safetensors, which come unasked. */
export interface Weights { name: string; files: string[]; size: number; wanted: boolean }

export const SAFETENSORS = 'safetensors'
const PIECE = /-\d{5}-of-\d{5}(?=\.gguf$)/i

export function weightsOf(files: RepoFile[]): Weights[] {
  const found = new Map<string, Weights>()
  for (const file of files) {
    if (!/\.gguf$/i.test(file.path) || /(^|\/)mmproj/i.test(file.path)) continue
    const name = file.path.replace(PIECE, '')
    const one = found.get(name) ?? { name, files: [], size: 0, wanted: true }
    found.set(name, { ...one, files: [...one.files, file.path], size: one.size + file.size, wanted: one.wanted && file.wanted })
  }
  const plain = files.filter((file) => /^[^/]+\.safetensors$/i.test(file.path))
  const whole = { name: SAFETENSORS, files: [], size: plain.reduce((sum, file) => sum + file.size, 0), wanted: plain.some((file) => file.wanted) }
  return [...(plain.length > 0 && found.size > 0 ? [whole] : []), ...[...found.values()].sort((a, b) => a.size - b.size)]
}

/** The quantisation in a GGUF's name, as people look for it: "Q4_K_M"; null where it says none. */
export const quantOf = (name: string): string | null => /(?:^|[-._])((?:IQ|Q)\d\w*|BF16|F16|F32|MXFP4)(?=[-.]|$)/i.exec(name.replace(/\.gguf$/i, ''))?.[1]?.toUpperCase() ?? null

export const wantedFiles = (repo: Repo): RepoFile[] => repo.files.filter((file) => file.wanted)
export const skippedFiles = (repo: Repo): RepoFile[] => repo.files.filter((file) => !file.wanted)

/** Some bytes must stay free for the rest of the house; the server checks this again. */
export const hasDisk = (repo: Repo): boolean => repo.free_bytes >= repo.size_bytes
