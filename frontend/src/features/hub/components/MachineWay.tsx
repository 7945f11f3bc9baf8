import { Button, Empty, Skeleton } from 'antd'
import { useState } from 'react'
import { useT } from '@/shared/i18n'
import { loadCached } from '../api/hub'
import { useAsked } from '../hooks/useAsked'
import type { Cached } from '../types'
import type { House } from './AddModelPage'
import { PathForm } from './PathForm'

/** What lies on the disk already: a folder or file by its path, and what the hubs' own tools have left. */
export function MachineWay({ onChat, onAdded }: House) {
  const { t, problem } = useT()
  const cached = useAsked('cached', loadCached)
  const [chosen, setChosen] = useState<Cached | null>(null)
  return (
    <>
      <PathForm key={chosen?.path ?? ''} begin={chosen} onChat={onChat} onAdded={() => { cached.again(); onAdded() }} />
      <h3 className="hub-heading">{t('hub.machine.found')}</h3>
      <p className="hub-quiet hub-note">{t('hub.machine.foundLead')}</p>
      {cached.state === 'waiting' && <div role="status"><span className="hub-quiet">{t('hub.machine.looking')}</span><Skeleton active title={false} /></div>}
      {cached.state === 'failed' && <p className="card-error">{t('hub.machine.failed')} {problem(cached.error)} <Button size="small" onClick={cached.again}>{t('common.retry')}</Button></p>}
      {cached.value?.length === 0 && <Empty description={t('hub.machine.nothing')} />}
      {cached.value && cached.value.length > 0 && <ul className="hits">{cached.value.map((one) => <CachedRow key={one.path} one={one} onUse={() => setChosen(one)} onChat={onChat} />)}</ul>}
    </>
  )
}

function CachedRow({ one, onUse, onChat }: { one: Cached; onUse: () => void; onChat: (model: string) => void }) {
  const { t, bytes } = useT()
  const model = one.model
  return (
    <li className="hit" data-testid="cached" data-path={one.path}>
      <span className="hit-name">{one.repo || one.name}</span>
      {model
        ? <Button size="small" onClick={() => onChat(model)}>{t('hub.chat')}</Button>
        : <Button size="small" type="primary" onClick={onUse} data-testid="cached-use">{t('hub.machine.use')}</Button>}
      <span className="hit-facts"><span>{bytes(one.size_bytes)}</span><span className="file-path">{one.path}</span>{model && <span>{t('hub.here')}</span>}</span>
    </li>
  )
}
