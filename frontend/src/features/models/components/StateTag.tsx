import { useT } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'

/** The state as a dot and a word, never as a colour alone. */
export function StateTag({ model }: { model: Model }) {
  const { t, percent } = useT()
  const state = t(`models.state.${model.state}`)
  const text = model.state === 'loading' && typeof model.progress === 'number' ? t('models.withPercent', { state, percent: percent(model.progress) }) : state
  return <span className={`state-tag state-${model.state}`}><span className="state-dot" aria-hidden="true" />{text}</span>
}
