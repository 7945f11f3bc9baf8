import { useT } from '@/shared/i18n'
import type { Fit } from '@/shared/types/wire'
import { bestDevice, toneOf } from '../stores/fit'
import { RoomTag } from './facts'

/** Whether it fits, said before anything is fetched: the server's sentence, and a bar of what is free and what it takes. */
export function FitPanel({ fit, waiting }: { fit: Fit | null; waiting: boolean }) {
  const { t, bytes } = useT()
  const device = bestDevice(fit)
  if (!device) return <section className="repo-box" data-testid="repo-fit"><h3>{t('hub.repo.fit')}</h3><p className="hub-quiet">{t('hub.repo.fitUnknown')}</p></section>
  const tone = toneOf(device)
  const share = device.free_bytes > 0 ? device.needed_bytes / device.free_bytes : 1
  return (
    <section className="repo-box" data-testid="repo-fit" data-verdict={device.verdict} aria-busy={waiting}>
      <h3>{t('hub.repo.fit')}</h3>
      <div className="hubfit-head"><RoomTag tone={tone} words={t(`hub.verdict.${device.verdict}`)} /><span className="hub-quiet">{t('hub.fit.on', { device: device.device })}</span></div>
      <div className={`hubfit-bar hubfit-${tone}`} role="img" aria-label={t('hub.fit.bar', { needed: bytes(device.needed_bytes), free: bytes(device.free_bytes), total: bytes(device.total_bytes) })}>
        <span style={{ width: `${Math.min(100, share * 100)}%` }} />
      </div>
      <p className="hubfit-words" data-testid="fit-sentence">{fit?.sentence}</p>
    </section>
  )
}
