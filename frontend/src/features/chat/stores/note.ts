import { languageName } from '@/shared/lib/figures'
import type { Translator } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'

type Words = Pick<Translator, 't' | 'percent' | 'lang'>

/** `speaks`: what limits the model that answers here; `coming`: how far the one is that the house brings in for itself. */
export interface Note { speaks: string; coming: string }

/** A quiet line for whoever is about to ask; null when there is nothing to say. Whose languages nobody knows, of that nothing is said. */
export function noteOf(model: Model | null, models: Model[], words: Words): Note | null {
  const arriving = models.find((one) => one.becomes_default) ?? null
  const only = model !== null && model.id !== arriving?.id ? onlyLanguage(model) : null
  const waited = arriving !== null && (only !== null || model === null || model.id === arriving.id)
  const note = {
    speaks: model && only ? words.t('chat.speaksOnly', { model: model.name, language: languageName(only, words.lang) }) : '',
    coming: waited ? coming(arriving, words) : '',
  }
  return note.speaks || note.coming ? note : null
}

/** Tags of one language; "multilingual" and "code" are none. */
const isLanguage = (tag: string): boolean => tag.length <= 3
const onlyLanguage = ({ languages = [] }: Model): string | null => (languages.length === 1 && languages[0] && isLanguage(languages[0]) ? languages[0] : null)

function coming(model: Model, { t, percent, lang }: Words): string {
  const known = (model.languages ?? []).filter(isLanguage).map((tag) => languageName(tag, lang))
  const facts = { model: model.name, languages: known.join(lang === 'zh' ? '、' : ', '), percent: percent(model.progress ?? 0) }
  if (model.state === 'absent') return t('chat.comingFailed', facts)
  if (model.download?.state === 'paused') return t('chat.comingPaused', facts)
  return t(facts.languages ? 'chat.coming' : 'chat.comingPlain', facts)
}
