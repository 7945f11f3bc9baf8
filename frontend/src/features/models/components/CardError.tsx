import { useT, type Key } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'
import { isRaw } from '../stores/card'

/** Codes whose own sentence the page knows; every other message was written for people by the server. */
const KNOWN: Record<string, Key | undefined> = {
  load_failed: 'models.fail.load_failed', out_of_memory: 'models.fail.out_of_memory', engine_died: 'models.fail.engine_died',
  engine_error: 'models.fail.engine_error', unavailable: 'models.fail.unavailable',
}

/** What went wrong last, in a sentence; the engine's own words unfold below it for who runs the house. */
export function CardError({ model }: { model: Model }) {
  const { t, lang } = useT()
  const { error, log } = model
  if (!error) return null
  const known = KNOWN[error.code]
  // A sentence that came in another language than the reader's stands in the log, too.
  const raw = isRaw(error.message) || (lang === 'zh' && known !== undefined && !/\p{Script=Han}/u.test(error.message))
  const said = known ? t(known) : raw || !error.message ? t('models.fail.plain', { code: error.code }) : error.message
  const detail = error.message && error.message !== said ? error.message : null
  const details = [detail, log?.trim() || null].filter((text) => text !== null)
  return (
    <div className="card-error" data-testid="model-error">
      <p><strong>{t('models.lastError')}:</strong> {said}{!raw && known && detail ? ` ${detail}` : ''}</p>
      {((raw && detail) || log?.trim()) && (
        <details>
          <summary data-testid="model-log">{t('models.log')}</summary>
          <pre tabIndex={0}>{(raw ? details : [log?.trim()]).join('\n\n')}</pre>
        </details>
      )}
    </div>
  )
}
