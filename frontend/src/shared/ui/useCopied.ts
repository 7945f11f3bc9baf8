import { App } from 'antd'
import { useCallback, useEffect, useRef, useState } from 'react'
import { useT } from '@/shared/i18n'
import { copyText } from '@/shared/lib/clipboard'

const SHOWN_MS = 1600

/** Copies and is `true` for a moment after it worked; says so when it did not. */
export function useCopied(): [boolean, (text: string) => Promise<void>] {
  const { t } = useT()
  const { message } = App.useApp()
  const [copied, setCopied] = useState(false)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => () => clearTimeout(timer.current), [])
  const copy = useCallback(async (text: string) => {
    if (!(await copyText(text))) { void message.warning(t('common.copyFailed')); return }
    setCopied(true)
    clearTimeout(timer.current)
    timer.current = setTimeout(() => setCopied(false), SHOWN_MS)
  }, [message, t])
  return [copied, copy]
}
