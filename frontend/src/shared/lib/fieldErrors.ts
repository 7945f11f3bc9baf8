import type { FormInstance } from 'antd'
import type { ApiError } from '@/shared/api/errors'
import { useT, type Key } from '@/shared/i18n'

/** Rules that only the server can check, in the person's language; anything else is shown as the server says it. */
const KNOWN: [string, RegExp, Key][] = [
  ['username', /exist|taken|already|已存在|已被/i, 'auth.rule.usernameTaken'],
  ['email', /exist|taken|already|已存在|已被/i, 'auth.rule.emailTaken'],
  ['email', /valid|有效|合法/i, 'auth.rule.emailShape'],
  ['password', /short|at least|太短|至少/i, 'auth.rule.passwordShort'],
  ['password', /common|常见/i, 'auth.rule.passwordCommon'],
  ['password', /numeric|数字/i, 'auth.rule.passwordNumeric'],
  ['password', /similar|相似|类似/i, 'auth.rule.passwordSimilar'],
]

/** Puts the server's errors at the form's fields. False: none of them belongs to a field here. */
export function useFieldErrors<T extends object>(form: FormInstance<T>) {
  const { t } = useT()
  return (error: ApiError, names: (keyof T & string)[], from: Record<string, string> = {}): boolean => {
    const found = names
      .map((name) => ({ name, errors: error.field(from[name] ?? name).map((text) => say(from[name] ?? name, text)) }))
      .filter((field) => field.errors.length > 0)
    form.setFields(found as unknown as Parameters<typeof form.setFields>[0])
    return found.length > 0
  }

  function say(name: string, text: string): string {
    const field = name === 'new' ? 'password' : name
    const rule = KNOWN.find(([owner, pattern]) => owner === field && pattern.test(text))
    return rule ? t(rule[2]) : text
  }
}
