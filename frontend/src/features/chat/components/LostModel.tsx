import { useT } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'

/** Above the composer: the model that this conversation had is gone, and which one answers in its place. */
export function LostModel({ gone, model }: { gone: string; model: Model | null }) {
  const { t } = useT()
  if (!gone) return null
  return <p className="model-note" data-testid="lost-model">{model ? t('chat.lostModel', { gone, model: model.name }) : t('chat.lostModelNone', { gone })}</p>
}
