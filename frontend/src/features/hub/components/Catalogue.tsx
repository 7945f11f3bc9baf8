import { SearchOutlined } from '@ant-design/icons'
import { Button, Checkbox, Empty, Input, Result, Skeleton } from 'antd'
import { useState } from 'react'
import { useT } from '@/shared/i18n'
import { Mark } from '@/shared/ui/Mark'
import { loadCatalogue, loadRoom } from '../api/hub'
import { useAsked } from '../hooks/useAsked'
import { useHubs } from '../hooks/useHubs'
import { shownEntries } from '../stores/catalogue'
import type { House } from './AddModelPage'
import { CatalogueCard } from './CatalogueCard'

/** Models that are known to do well here, from whichever hub is near. */
export function Catalogue({ onChat }: House) {
  const { t, problem } = useT()
  const entries = useAsked('catalogue', loadCatalogue)
  const room = useAsked('room', loadRoom).value
  const { suggested } = useHubs()
  const [text, setText] = useState('')
  const [fitting, setFitting] = useState(false)
  if (entries.state === 'waiting') return <Skeleton active />
  if (entries.state === 'failed') return <Result icon={<Mark size={56} />} title={t('hub.catalogue.failed')} subTitle={problem(entries.error)} extra={<Button onClick={entries.again}>{t('common.retry')}</Button>} />
  const shown = shownEntries(entries.value, text, fitting ? room : null)
  return (
    <>
      <p className="room-lead hub-lead">{t('hub.catalogue.lead')}</p>
      <div className="hub-filter">
        <Input allowClear prefix={<SearchOutlined />} placeholder={t('hub.catalogue.filter')} aria-label={t('hub.catalogue.filter')} value={text} onChange={(event) => setText(event.target.value)} data-testid="catalogue-filter" />
        <Checkbox checked={fitting} disabled={room === null} onChange={(event) => setFitting(event.target.checked)}>{t('hub.catalogue.fits')}</Checkbox>
      </div>
      {shown.length === 0 && <Empty description={t('hub.catalogue.nothing')} />}
      <div className="model-grid">
        {shown.map((entry) => <CatalogueCard key={entry.id} entry={entry} room={room} near={suggested} onChat={onChat} />)}
      </div>
    </>
  )
}
