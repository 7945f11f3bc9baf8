import type { Fit, FitDevice } from '@/shared/types/wire'

export type Piece = 'used' | 'weights' | 'kv' | 'overhead'
export interface Bar { pieces: { piece: Piece; bytes: number; share: number }[]; over: boolean; limit: number }

/** A device as a bar: what others hold, then what this model would take. Longer than the device where it does not fit;
    `limit` is then where the device ends (0..1 of the bar). */
export function barOf(device: FitDevice): Bar {
  const used = Math.max(0, device.total_bytes - device.free_bytes)
  const scale = Math.max(device.total_bytes, used + device.needed_bytes, 1)
  const sizes: [Piece, number][] = [['used', used], ['weights', device.weights_bytes], ['kv', device.kv_bytes], ['overhead', device.overhead_bytes]]
  return {
    pieces: sizes.filter(([, bytes]) => bytes > 0).map(([piece, bytes]) => ({ piece, bytes, share: bytes / scale })),
    over: used + device.needed_bytes > device.total_bytes,
    limit: device.total_bytes / scale,
  }
}

/** The device that it would go to first. */
export const sorted = (fit: Fit): FitDevice[] => [...fit.devices].sort((a, b) => Number(b.device === fit.best) - Number(a.device === fit.best))
export const fitPath = (id: string, context?: number | null, concurrency?: number | null): string => {
  const asked = new URLSearchParams()
  if (context) asked.set('context', String(context))
  if (concurrency) asked.set('concurrency', String(concurrency))
  const query = asked.toString()
  return `/api/models/${encodeURIComponent(id)}/fit/${query ? `?${query}` : ''}`
}
