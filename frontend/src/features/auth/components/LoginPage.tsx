import { Alert, Button, Form, Input } from 'antd'
import { useEffect, useState } from 'react'
import { houseState, logIn } from '@/features/auth/api/auth'
import { AuthFrame } from '@/features/auth/components/AuthFrame'
import { RouteLink } from '@/shared/ui/RouteLink'
import { ApiError } from '@/shared/api/errors'
import { useT } from '@/shared/i18n'
import { navigate } from '@/shared/router'
import type { HouseState } from '@/shared/types/wire'

interface Values { username: string; password: string }

export function LoginPage() {
  const { t, problem } = useT()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const [house, setHouse] = useState<HouseState | null>(null)

  useEffect(() => {
    let here = true
    houseState().then((state) => {
      if (!here) return
      setHouse(state)
      if (!state.has_users) navigate('/register', { replace: true })
    }).catch(() => undefined)
    return () => { here = false }
  }, [])

  async function submit(values: Values) {
    setBusy(true)
    setError(null)
    try {
      await logIn(values.username.trim(), values.password)
    } catch (thrown) {
      setError(thrown)
      setBusy(false)
    }
  }

  const wrong = error instanceof ApiError && (error.code === 'invalid_grant' || error.status === 401)
  return (
    <AuthFrame title={t('auth.login')}>
      <Form<Values> layout="vertical" size="large" noValidate requiredMark={false} onFinish={submit} data-testid="login-form">
        {error !== null && <Alert className="form-alert" type="error" showIcon title={wrong ? t('auth.wrong') : problem(error)} />}
        <Form.Item name="username" label={t('auth.username')} rules={[{ required: true, message: t('auth.rule.usernameEnter') }]}>
          <Input autoComplete="username" autoCapitalize="none" autoFocus data-testid="username" />
        </Form.Item>
        <Form.Item name="password" label={t('auth.password')} rules={[{ required: true, message: t('auth.rule.passwordRequired') }]}>
          <Input.Password autoComplete="current-password" data-testid="password" />
        </Form.Item>
        <Button type="primary" htmlType="submit" block loading={busy} data-testid="submit">{t('auth.login')}</Button>
      </Form>
      {house?.registration !== 'closed' && <RouteLink className="auth-other" to="/register">{t('auth.toRegister')}</RouteLink>}
    </AuthFrame>
  )
}
