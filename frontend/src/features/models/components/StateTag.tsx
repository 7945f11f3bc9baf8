import { useT } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'
import { progressOf } from '../stores/card'

/** The state as a dot and a word, never as a colour alone. `asked`: the words for who is about to ask it. */
export function StateTag({ model, asked = false }: { model: Model; asked?: boolean }) {
  const { t, percent } = useT()
  const state = asked && model.state === 'stopped' ? t('models.loadsWhenAsked') : t(`models.state.${model.state}`)
  const progress = model.state === 'loading' || model.state === 'downloading' ? progressOf(model) : null
  const text = progress === null ? state : t('models.withPercent', { state, percent: percent(progress) })
  return <span className={`state-tag state-${model.state}`}><span className="state-dot" aria-hidden="true" />{text}</span>
}
