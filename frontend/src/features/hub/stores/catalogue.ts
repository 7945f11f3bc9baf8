import type { Entry, HubName, Room } from '../types'
import { toneInRoom } from './fit'

/** Those with every word of `text` in name, family, languages or abilities; with `room`, only what fits there now. */
export function shownEntries(entries: Entry[], text: string, room: Room | null): Entry[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  return entries.filter((entry) => {
    const said = [entry.name, entry.family, entry.modelscope, entry.huggingface, ...entry.languages, ...entry.capabilities].join(' ').toLowerCase()
    return words.every((word) => said.includes(word)) && (room === null || entry.remote !== null || toneInRoom(entry.needed_bytes, room) === 'good')
  })
}

/** Where an entry can be had, the near hub first. */
export function sourcesOf(entry: Entry, near: HubName | null): { hub: HubName; repo: string }[] {
  const found = (['modelscope', 'huggingface'] as const).flatMap((hub) => { const repo = entry[hub]; return repo ? [{ hub, repo }] : [] })
  return found.sort((a, b) => Number(b.hub === near) - Number(a.hub === near))
}
