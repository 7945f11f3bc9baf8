import { Button, Result } from 'antd'
import { useEffect, useRef, useState } from 'react'
import { Frame } from '@/app/Frame'
import { LoginPage } from '@/features/auth/components/LoginPage'
import { RegisterPage } from '@/features/auth/components/RegisterPage'
import { loadMe, saveLanguage } from '@/features/auth/api/auth'
import { session } from '@/shared/api/session'
import { useT } from '@/shared/i18n'
import { useStore } from '@/shared/lib/store'
import { navigate, usePath } from '@/shared/router'

const DOORS = ['/login', '/register']

/** Outside: log in or register. Inside: the house. Where someone wanted to go is remembered over the door. */
export function App() {
  const { t, lang } = useT()
  const path = usePath()
  const user = useStore(session)?.user ?? null
  const signedIn = useStore(session) !== null
  const wanted = useRef('/')
  const [unknown, setUnknown] = useState(false)
  const atDoor = DOORS.includes(path)

  useEffect(() => { document.title = t('app.name') }, [t])
  useEffect(() => {
    if (!signedIn && !atDoor) {
      wanted.current = path
      navigate('/login', { replace: true })
    } else if (signedIn && atDoor) {
      navigate(wanted.current, { replace: true })
      wanted.current = '/'
    }
  }, [signedIn, atDoor, path])
  useEffect(() => {
    // A session from an older visit: who it is may have changed since.
    if (signedIn) loadMe().catch(() => setUnknown(true))
  }, [signedIn])

  useEffect(() => {
    if (user) saveLanguage(lang, user).catch(() => undefined) // told again with the next visit
  }, [lang, user])

  if (!signedIn) return path === '/register' ? <RegisterPage /> : <LoginPage />
  if (!user && unknown) return <Result status="warning" title={t('error.network')} extra={<Button type="primary" onClick={() => location.reload()}>{t('error.reload')}</Button>} />
  if (!user || atDoor) return null
  return <Frame key={String(user.id)} user={user} />
}
