import { CheckOutlined, CopyOutlined, KeyOutlined } from '@ant-design/icons'
import { Alert, Button, Modal, Segmented } from 'antd'
import { useState } from 'react'
import { useT } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'
import { IconButton } from '@/shared/ui/IconButton'
import { useCopied } from '@/shared/ui/useCopied'
import { makeKey } from '../api/models'
import { callOf, type Tongue } from '../stores/calls'

const TONGUES: { value: Tongue; label: string }[] = [{ value: 'curl', label: 'curl' }, { value: 'python', label: 'Python' }, { value: 'javascript', label: 'JavaScript' }]

/** How a program asks this model, ready to run: this house's address, this model's name, and a key made on the spot. */
export default function ApiCall({ model, onClose }: { model: Model; onClose: () => void }) {
  const { t } = useT()
  const [tongue, setTongue] = useState<Tongue>('curl')
  const [key, setKey] = useState<string | null>(null)
  const [copied, copy] = useCopied()
  const code = callOf(tongue, { origin: location.origin, model: model.name, key, hello: t('models.call.hello') })
  return (
    <Modal open title={t('models.call.title', { name: model.name })} onCancel={onClose} footer={null} width="min(720px, 100vw - 16px)">
      <div className="call" data-testid="api-call">
        <p className="call-lead">{t('models.call.lead')}</p>
        <Segmented<Tongue> options={TONGUES} value={tongue} onChange={setTongue} aria-label={t('models.call.language')} />
        <div className="call-code">
          <pre tabIndex={0} data-testid="api-call-code">{code}</pre>
          <IconButton size="small" label={copied ? t('common.copied') : t('chat.copyCode')} icon={copied ? <CheckOutlined /> : <CopyOutlined />} onClick={() => void copy(code)} data-testid="api-call-copy" />
        </div>
        <Key name={t('models.call.keyName', { name: model.name })} made={key} onMade={setKey} />
      </div>
    </Modal>
  )
}

function Key({ name, made, onMade }: { name: string; made: string | null; onMade: (key: string) => void }) {
  const { t, problem } = useT()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const make = async () => {
    setBusy(true)
    setError(null)
    try {
      onMade((await makeKey(name.slice(0, 100))).key)
    } catch (thrown) {
      setError(thrown)
    } finally {
      setBusy(false)
    }
  }
  if (made) return <Alert type="success" showIcon title={<>{t('models.call.keyMade')}<br /><code className="call-key" data-testid="api-key">{made}</code></>} />
  return (
    <div className="call-make">
      <span className="card-note">{t('models.call.keyNeeded')}</span>
      <Button size="small" icon={<KeyOutlined />} loading={busy} onClick={() => void make()} data-testid="api-key-make">{t('models.call.keyMake')}</Button>
      {error !== null && <Alert type="error" showIcon title={problem(error)} />}
    </div>
  )
}
