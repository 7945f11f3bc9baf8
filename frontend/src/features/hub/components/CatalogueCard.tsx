import { DownOutlined } from '@ant-design/icons'
import { Button, Card, Dropdown, Space } from 'antd'
import { useT } from '@/shared/i18n'
import { contextOf, languageName, parametersOf } from '@/shared/lib/figures'
import { navigate } from '@/shared/router'
import { repoPath, wayPath } from '../address'
import { hubTitle } from '../hooks/useHubs'
import { sourcesOf } from '../stores/catalogue'
import { presetFrom } from '../stores/endpoint'
import { toneInRoom } from '../stores/fit'
import type { Entry, HubName, Room } from '../types'
import { Abilities, Facts, RoomTag } from './facts'

interface Props { entry: Entry; room: Room | null; near: HubName | null; onChat: (model: string) => void }

/** Most names say the size themselves, rounded in their own way. */
const SIZED = /\d[BM]\b/i

export function CatalogueCard({ entry, room, near, onChat }: Props) {
  const { t, bytes, lang } = useT()
  const remote = entry.remote !== null && !entry.modelscope && !entry.huggingface
  return (
    <Card size="small" className="model-card" data-testid="catalogue-card" data-entry={entry.id}
      title={<span className="card-title"><span className="card-name" title={entry.name}>{entry.name}</span>{entry.parameters > 0 && !SIZED.test(entry.name) && <span className="card-count">{parametersOf(entry.parameters)}</span>}</span>}>
      {remote ? <span className="room-tag">{t('hub.catalogue.remote')}</span> : <RoomTag tone={toneInRoom(entry.needed_bytes, room)} />}
      <Facts rows={[
        [t('hub.catalogue.size'), entry.size_bytes && !remote ? bytes(entry.size_bytes) : null],
        [t('hub.catalogue.needs'), entry.needed_bytes && !remote ? bytes(entry.needed_bytes) : null],
        [t('hub.catalogue.context'), entry.context_length ? contextOf(entry.context_length) : null],
        [t('hub.catalogue.license'), entry.license],
        [t('hub.catalogue.languages'), entry.languages.map((tag) => languageName(tag, lang)).join(lang === 'zh' ? '、' : ', ')],
      ]} />
      <Abilities words={entry.capabilities} />
      {entry.note && <p className="card-note">{entry.note}</p>}
      <div className="card-actions"><Get entry={entry} near={near} onChat={onChat} /></div>
    </Card>
  )
}

/** The near hub on the button, the other one behind its arrow. */
function Get({ entry, near, onChat }: Omit<Props, 'room'>) {
  const { t } = useT()
  const [first, ...others] = sourcesOf(entry, near)
  if (entry.model !== null) {
    const model = entry.model
    return <><Button size="small" type="primary" onClick={() => onChat(model)} data-testid="catalogue-chat">{t('hub.chat')}</Button><span className="hub-quiet">{t('hub.here')}</span></>
  }
  const remote = entry.remote
  const connect = remote && <Button size="small" onClick={() => { presetFrom(entry.name, remote); navigate(wayPath('endpoint')) }} data-testid="catalogue-connect">{t('hub.catalogue.connect')}</Button>
  if (!first) return connect
  const open = (from: { hub: HubName; repo: string }) => navigate(repoPath(from.hub, from.repo))
  const button = <Button size="small" onClick={() => open(first)} data-testid="catalogue-get">{t('hub.catalogue.from', { hub: hubTitle(first.hub) })}</Button>
  if (others.length === 0) return <>{connect}{button}</>
  return (
    <>
      {connect}
      <Space.Compact>
        {button}
        <Dropdown trigger={['click']} menu={{ items: others.map((from) => ({ key: from.hub, label: t('hub.catalogue.from', { hub: hubTitle(from.hub) }), onClick: () => open(from) })) }}>
          <Button size="small" icon={<DownOutlined />} aria-label={t('hub.hubs')} />
        </Dropdown>
      </Space.Compact>
    </>
  )
}
