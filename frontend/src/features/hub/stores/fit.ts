import type { Fit, FitDevice } from '@/shared/types/wire'
import type { Room } from '../types'

export type Tone = 'good' | 'close' | 'bad'

const ORDER = ['fits', 'fits_after_eviction', 'fits_with_less_context', 'does_not_fit']

/** The device that the fit is told for: the one named best, else the one that fits best. */
export function bestDevice(fit: Fit | null): FitDevice | null {
  if (!fit?.known || fit.devices.length === 0) return null
  const named = fit.devices.find((one) => one.device === fit.best)
  return named ?? [...fit.devices].sort((a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict) || b.free_bytes - a.free_bytes)[0] ?? null
}

export const toneOf = (device: FitDevice): Tone => (device.verdict === 'fits' ? 'good' : device.verdict === 'does_not_fit' ? 'bad' : 'close')

/** A first look for a catalogue card, from what a model needs and what the largest device has. */
export function toneInRoom(needed: number | null, room: Room | null): Tone | null {
  if (needed === null || room === null) return null
  if (needed <= room.free_bytes) return 'good'
  return needed <= room.total_bytes ? 'close' : 'bad'
}
