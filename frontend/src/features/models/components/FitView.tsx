import { useT, type Key } from '@/shared/i18n'
import type { Fit, FitDevice } from '@/shared/types/wire'
import { barOf, sorted, type Piece } from '../stores/fit'

const PIECES: Record<Piece, Key> = { used: 'models.fit.used', weights: 'models.fit.weights', kv: 'models.fit.kv', overhead: 'models.fit.overhead' }

/** Whether it fits, in the server's sentence, and per device what it would take of what is free. */
export function FitView({ fit }: { fit: Fit }) {
  const { t } = useT()
  if (!fit.known || fit.devices.length === 0) return <p className="fit-sentence" data-testid="fit-sentence">{fit.sentence || t('models.fit.unknown')}</p>
  return (
    <>
      {fit.sentence && <p className="fit-sentence" data-testid="fit-sentence">{fit.sentence}</p>}
      {sorted(fit).map((device) => <Device key={device.device} device={device} />)}
    </>
  )
}

function Device({ device }: { device: FitDevice }) {
  const { t, bytes } = useT()
  const bar = barOf(device)
  const evicts = device.evicts.map(({ name }) => name).join(', ')
  return (
    <div className="fit-device" data-verdict={device.verdict}>
      <div className="fit-head"><span className="fit-name">{device.device}</span><span className={`fit-verdict fit-${device.verdict}`}>{t(`models.fit.${device.verdict}`)}</span></div>
      <div className={bar.over ? 'fit-bar fit-bar-over' : 'fit-bar'} aria-hidden="true">
        {bar.pieces.map(({ piece, share }) => <span key={piece} className={`fit-piece fit-piece-${piece}`} style={{ inlineSize: `${share * 100}%` }} />)}
        {bar.limit < 1 && <span className="fit-limit" style={{ insetInlineStart: `${bar.limit * 100}%` }} />}
      </div>
      <ul className="fit-legend">
        {bar.pieces.map(({ piece, bytes: size }) => <li key={piece}><span className={`fit-key fit-piece-${piece}`} aria-hidden="true" />{t(PIECES[piece], { size: bytes(size) })}</li>)}
        <li>{t('models.fit.free', { size: bytes(device.free_bytes) })}</li>
      </ul>
      {evicts && <p className="card-note">{t('models.fit.evicts', { models: evicts })}</p>}
    </div>
  )
}
