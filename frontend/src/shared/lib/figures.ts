import type { Language } from '@/shared/prefs'

const tagOf = (lang: Language): string => (lang === 'zh' ? 'zh-CN' : 'en')

/** How large a model is, as model names say it: 600_000_000 is "0.6B", 135_000_000 "135M". */
export function parametersOf(count: number): string {
  if (count >= 500e6) return `${trim(count / 1e9)}B`
  return count >= 1e6 ? `${Math.round(count / 1e6)}M` : `${Math.round(count / 1e3)}k`
}

/** A context length as people say it: 32768 is "32k", 40960 "40k", 100000 "100k"; below 1024 the number itself. */
export function contextOf(tokens: number): string {
  if (tokens < 1000) return String(tokens)
  const power = tokens % 1024 === 0
  if (tokens >= 1024 * 1024 && power) return `${trim(tokens / 1024 / 1024)}M`
  return `${trim(tokens / (power ? 1024 : 1000))}k`
}

/** Downloads and likes: "1.2M", 120万. */
export function compact(count: number, lang: Language): string {
  return count.toLocaleString(tagOf(lang), { notation: 'compact', maximumFractionDigits: 1 })
}

/** The two largest units of a time to come, in the language's own words: "1 hr, 5 min", 1小时5分钟. */
export function duration(seconds: number, lang: Language): string {
  const whole = Math.max(1, Math.round(seconds))
  const parts: [number, string][] = whole < 60 ? [[whole, 'second']]
    : whole < 3600 ? [[Math.ceil(whole / 60), 'minute']]
      : whole < 36 * 3600 ? [[Math.floor(whole / 3600), 'hour'], [Math.floor((whole % 3600) / 60), 'minute']]
        : [[Math.round(whole / 86400), 'day']]
  return parts.filter(([count]) => count > 0)
    .map(([count, unit]) => count.toLocaleString(tagOf(lang), { style: 'unit', unit, unitDisplay: 'short' }))
    .join(lang === 'zh' ? '' : ' ')
}

const trim = (value: number): string => String(Math.round(value * (value < 10 ? 10 : 1)) / (value < 10 ? 10 : 1))

/** A language's tag as its name: "zh" is Chinese, 中文; what is no tag stays as it is. */
export function languageName(tag: string, lang: Language): string {
  try { return new Intl.DisplayNames([tagOf(lang)], { type: 'language' }).of(tag) ?? tag } catch { return tag }
}
