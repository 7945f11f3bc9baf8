import { Alert, Button, Form, Input } from 'antd'
import { useEffect, useState } from 'react'
import { houseState, register } from '@/features/auth/api/auth'
import { AuthFrame } from '@/features/auth/components/AuthFrame'
import { ApiError } from '@/shared/api/errors'
import { useFieldErrors } from '@/shared/lib/fieldErrors'
import { useT } from '@/shared/i18n'
import type { HouseState } from '@/shared/types/wire'
import { RouteLink } from '@/shared/ui/RouteLink'

interface Values { username: string; email: string; password: string; confirm: string }

export function RegisterPage() {
  const { t, problem } = useT()
  const [form] = Form.useForm<Values>()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const [waiting, setWaiting] = useState(false)
  const [house, setHouse] = useState<HouseState | null>(null)
  const showFields = useFieldErrors(form)

  useEffect(() => {
    let here = true
    houseState().then((state) => { if (here) setHouse(state) }).catch(() => undefined)
    return () => { here = false }
  }, [])

  async function submit(values: Values) {
    setBusy(true)
    setError(null)
    try {
      if (!(await register(values.username.trim(), values.email.trim(), values.password))) setWaiting(true)
    } catch (thrown) {
      if (!(thrown instanceof ApiError && showFields(thrown, ['username', 'email', 'password']))) setError(thrown)
    } finally {
      setBusy(false)
    }
  }

  const closed = house?.has_users && house.registration === 'closed'
  return (
    <AuthFrame title={t('auth.register')}>
      {waiting && <Alert type="success" showIcon title={t('auth.waiting')} />}
      {closed && <Alert type="info" showIcon title={t('auth.closed')} />}
      {!waiting && !closed && (
        <Form<Values> form={form} layout="vertical" size="large" noValidate requiredMark={false} onFinish={submit} data-testid="register-form">
          {house && !house.has_users && <Alert className="form-alert" type="info" showIcon title={t('auth.firstAccount')} />}
          {house?.has_users && house.registration === 'approval' && <Alert className="form-alert" type="info" showIcon title={t('auth.approval')} />}
          {error !== null && <Alert className="form-alert" type="error" showIcon title={problem(error)} />}
          <Form.Item name="username" label={t('auth.username')} rules={[
            { required: true, message: t('auth.rule.usernameRequired') },
            { pattern: /^[\p{L}\p{N}.@+_-]{1,150}$/u, message: t('auth.rule.usernameShape') },
          ]}>
            <Input autoComplete="username" autoCapitalize="none" autoFocus data-testid="username" />
          </Form.Item>
          <Form.Item name="email" label={t('auth.email')} rules={[
            { required: true, message: t('auth.rule.emailRequired') },
            { type: 'email', message: t('auth.rule.emailShape') },
          ]} validateTrigger="onBlur">
            <Input type="email" autoComplete="email" data-testid="email" />
          </Form.Item>
          <Form.Item name="password" label={t('auth.password')} validateTrigger="onBlur" rules={[
            { required: true, message: t('auth.rule.passwordRequired') },
            { min: 8, message: t('auth.rule.passwordShort') },
            { pattern: /\D/, message: t('auth.rule.passwordNumeric') },
          ]}>
            <Input.Password autoComplete="new-password" data-testid="password" />
          </Form.Item>
          <Form.Item name="confirm" label={t('auth.confirm')} dependencies={['password']} validateTrigger="onBlur" rules={[
            { required: true, message: t('auth.rule.confirmRequired') },
            ({ getFieldValue }) => ({
              validator: (_, value) => (!value || value === getFieldValue('password') ? Promise.resolve() : Promise.reject(new Error(t('auth.rule.confirmDiffers')))),
            }),
          ]}>
            <Input.Password autoComplete="new-password" data-testid="confirm" />
          </Form.Item>
          <Button type="primary" htmlType="submit" block loading={busy} data-testid="submit">{t('auth.register')}</Button>
        </Form>
      )}
      {house?.has_users !== false && <RouteLink className="auth-other" to="/login">{t('auth.toLogin')}</RouteLink>}
    </AuthFrame>
  )
}
