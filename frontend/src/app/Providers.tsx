import { App as AntApp, ConfigProvider, theme as antd } from 'antd'
import enUS from 'antd/locale/en_US'
import zhCN from 'antd/locale/zh_CN'
import { useLayoutEffect, useMemo, useSyncExternalStore, type ReactNode } from 'react'
import { cssVariables, themeOf } from '@/app/theme'
import { tagOf, useT } from '@/shared/i18n'
import { useStore } from '@/shared/lib/store'
import { systemDark, themeChoice } from '@/shared/prefs'

const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content
const stillQuery = window.matchMedia('(prefers-reduced-motion: reduce)')
const stillSource = {
  get: () => stillQuery.matches,
  subscribe: (listener: () => void) => {
    stillQuery.addEventListener('change', listener)
    return () => stillQuery.removeEventListener('change', listener)
  },
}

/** Inside #root the page itself never scrolls, so nothing has to lock it; locking writes a style tag without a nonce. */
const popups = (): HTMLElement => document.getElementById('root') ?? document.body

export function Providers({ children }: { children: ReactNode }) {
  const { lang } = useT()
  const choice = useStore(themeChoice)
  const night = useSyncExternalStore(systemDark.subscribe, systemDark.get)
  const still = useStore(stillSource)
  const dark = choice === 'dark' || (choice === 'system' && night)
  const theme = useMemo(() => themeOf(dark, still), [dark, still])
  const csp = useMemo(() => ({ nonce }), [])

  useLayoutEffect(() => { document.documentElement.lang = tagOf(lang) }, [lang])

  return (
    <ConfigProvider theme={theme} csp={csp} getPopupContainer={popups} locale={lang === 'zh' ? zhCN : enUS} button={{ autoInsertSpace: false }}>
      <Variables dark={dark} />
      <AntApp className="app-root" message={{ maxCount: 3 }}>{children}</AntApp>
    </ConfigProvider>
  )
}

function Variables({ dark }: { dark: boolean }) {
  const { token } = antd.useToken()
  useLayoutEffect(() => {
    const root = document.documentElement
    for (const [name, value] of Object.entries(cssVariables(token))) root.style.setProperty(name, value)
    root.style.colorScheme = dark ? 'dark' : 'light'
    root.dataset.theme = dark ? 'dark' : 'light'
  }, [token, dark])
  return null
}
