import { useMemo } from 'react'
import { loadHubs } from '../api/hub'
import type { Hub, HubName } from '../types'
import { useAsked } from './useAsked'

const TITLES: Record<HubName, string> = { modelscope: 'ModelScope', huggingface: 'Hugging Face' }
export const hubTitle = (hub: HubName): string => TITLES[hub]
/** The house's settings that a fault of a hub is mended with. */
export const ENDPOINT_VARIABLE: Record<HubName, string> = { modelscope: 'HEARTH_MODELSCOPE_ENDPOINT', huggingface: 'HEARTH_HF_ENDPOINT' }
export const TOKEN_VARIABLE: Record<HubName, string> = { modelscope: 'MODELSCOPE_API_TOKEN', huggingface: 'HF_TOKEN' }

const UNMEASURED: Hub[] = (['modelscope', 'huggingface'] as const).map((hub) => ({ hub, title: TITLES[hub], endpoint: '', reachable: null, latency_ms: null, suggested: false }))

/** Both hubs at once; whether they answer follows within three seconds. */
export function useHubs(): { hubs: Hub[]; measured: boolean; suggested: HubName | null } {
  const asked = useAsked('hubs', loadHubs)
  return useMemo(() => {
    const measured = asked.state !== 'waiting'
    const hubs = asked.value ?? UNMEASURED
    return { hubs, measured, suggested: hubs.find((one) => one.suggested)?.hub ?? (measured ? (hubs[0]?.hub ?? null) : null) }
  }, [asked.state, asked.value])
}
