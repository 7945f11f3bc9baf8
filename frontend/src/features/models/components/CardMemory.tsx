import { useT } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'
import { memoryBar } from '../stores/card'

/** Measured as the filled part, predicted as a mark, both as words; after an unload: what came back. */
export function CardMemory({ model, scale }: { model: Model; scale: number }) {
  const { t, bytes } = useT()
  const bar = memoryBar(model, scale)
  if (!bar) return null
  const words = [
    bar.measured !== null ? t('models.measured', { size: bytes(bar.measured) }) : null,
    bar.counted !== null ? t('models.counted', { size: bytes(bar.counted) }) : null,
    bar.predicted !== null ? t(bar.measured !== null || bar.counted !== null ? 'models.predicted' : 'models.predictedAlone', { size: bytes(bar.predicted) }) : null,
    bar.returned !== null ? t('models.returned', { size: bytes(bar.returned) }) : null,
  ].filter((word) => word !== null)
  return (
    <div className="card-memory" data-testid="model-memory">
      {(bar.filled > 0 || bar.mark !== null) && (
        <div className="memory-bar" aria-hidden="true">
          <span className="memory-filled" style={{ inlineSize: `${bar.filled * 100}%` }} />
          {bar.mark !== null && <span className="memory-mark" style={{ insetInlineStart: `${bar.mark * 100}%` }} />}
        </div>
      )}
      <span className="card-note">{words.join(' · ')}</span>
    </div>
  )
}
