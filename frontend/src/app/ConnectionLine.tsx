import { Button } from 'antd'
import { useEffect, useState } from 'react'
import { useT } from '@/shared/i18n'
import { useStore } from '@/shared/lib/store'
import { socket } from '@/shared/socket'

/** A thin line under the header while the server cannot be reached; it takes no room otherwise. */
export function ConnectionLine() {
  const { t } = useT()
  const link = useStore(socket.link)
  const waiting = link.state === 'waiting'
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    if (!waiting) return
    const tick = () => setNow(Date.now())
    const timer = setInterval(tick, 500)
    const first = setTimeout(tick, 0)
    return () => { clearInterval(timer); clearTimeout(first) }
  }, [waiting, link])
  if (link.state === 'open' || link.state === 'idle' || (link.state === 'connecting' && !link.lost)) return null
  const seconds = waiting ? Math.max(1, Math.ceil((link.retryAt - now) / 1000)) : 0
  return (
    <div className="connection-line" data-testid="connection-line" role="status">
      <span>{waiting ? t('link.lost', { seconds }) : t('link.trying')}</span>
      {waiting && <Button type="link" size="small" onClick={() => socket.hurry()}>{t('link.now')}</Button>}
    </div>
  )
}
