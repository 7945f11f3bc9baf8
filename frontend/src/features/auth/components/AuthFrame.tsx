import { Typography } from 'antd'
import type { ReactNode } from 'react'
import { useT } from '@/shared/i18n'
import { Mark } from '@/shared/ui/Mark'
import { LanguageToggle, ThemeToggle } from '@/shared/ui/toggles'

export function AuthFrame({ title, children }: { title: string; children: ReactNode }) {
  const { t } = useT()
  return (
    <div className="auth-frame">
      <header className="auth-tools"><LanguageToggle /><ThemeToggle /></header>
      <main className="auth-scroll"><div className="auth-card">
        <div className="auth-brand"><Mark size={40} /><div><div className="auth-name">{t('app.name')}</div><Typography.Text type="secondary">{t('app.tagline')}</Typography.Text></div></div>
        <Typography.Title level={1} className="auth-title">{title}</Typography.Title>
        {children}
      </div></main>
    </div>
  )
}
