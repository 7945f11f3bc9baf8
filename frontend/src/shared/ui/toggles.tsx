import { DesktopOutlined, MoonOutlined, SunOutlined, TranslationOutlined } from '@ant-design/icons'
import { useT } from '@/shared/i18n'
import { useStore } from '@/shared/lib/store'
import { language, themeChoice, type ThemeChoice } from '@/shared/prefs'
import { IconButton } from '@/shared/ui/IconButton'

const NEXT: Record<ThemeChoice, ThemeChoice> = { system: 'light', light: 'dark', dark: 'system' }
const ICON = { system: <DesktopOutlined />, light: <SunOutlined />, dark: <MoonOutlined /> }

export function ThemeToggle() {
  const { t } = useT()
  const choice = useStore(themeChoice)
  return (
    <IconButton data-testid="theme-toggle" label={t('nav.theme', { choice: t(`nav.theme.${choice}`) })} icon={ICON[choice]}
      onClick={() => themeChoice.set(NEXT[choice])} />
  )
}

export function LanguageToggle() {
  const { t, lang } = useT()
  return (
    <IconButton data-testid="language-toggle" label={t('nav.language')} icon={<TranslationOutlined />}
      onClick={() => language.set(lang === 'zh' ? 'en' : 'zh')} />
  )
}
