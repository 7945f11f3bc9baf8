import { Button } from 'antd'
import { useT } from '@/shared/i18n'
import { navigate } from '@/shared/router'
import type { Model } from '@/shared/types/wire'
import { noteOf } from '../stores/note'

/** Above the composer: what the model here cannot do, and what is on its way. Everyone reads it; administrators may go and steer. */
export function ModelNote({ model, models, admin }: { model: Model | null; models: Model[]; admin: boolean }) {
  const words = useT()
  const note = noteOf(model, models, words)
  if (!note) return null
  return (
    <p className="model-note" data-testid="model-note">
      {note.speaks}{note.speaks && note.coming && ' '}
      {note.coming && <span data-testid="model-coming">{note.coming}</span>}
      {note.coming && admin && <Button type="link" size="small" onClick={() => navigate('/models')} data-testid="model-note-link">{words.t('chat.toModels')}</Button>}
    </p>
  )
}
