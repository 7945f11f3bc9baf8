import { Button, Result } from 'antd'
import { Component, type ReactNode } from 'react'
import { useT } from '@/shared/i18n'

/** The last net: a page that broke says so and offers the way out; nothing on the server is touched. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { broken: boolean }> {
  override state = { broken: false }
  static getDerivedStateFromError = () => ({ broken: true })
  override render() {
    return this.state.broken ? <Broken /> : this.props.children
  }
}

function Broken() {
  const { t } = useT()
  return <Result status="warning" title={t('error.page')} extra={<Button type="primary" onClick={() => location.reload()}>{t('error.reload')}</Button>} />
}
