import { ApiOutlined, AppstoreOutlined, ArrowLeftOutlined, HddOutlined, SearchOutlined } from '@ant-design/icons'
import { Tabs } from 'antd'
import type { ReactNode } from 'react'
import { useT } from '@/shared/i18n'
import { useStore } from '@/shared/lib/store'
import { navigate, usePath } from '@/shared/router'
import type { Model } from '@/shared/types/wire'
import { RouteLink } from '@/shared/ui/RouteLink'
import { placeOf, wayPath, type Way } from '../address'
import { downloads, shownDownloads } from '../stores/downloads'
import { Catalogue } from './Catalogue'
import { DownloadCard } from './DownloadCard'
import { EndpointWay } from './EndpointWay'
import { MachineWay } from './MachineWay'
import { RepoPage } from './RepoPage'
import { SearchWay } from './SearchWay'

/** `onChat` loads a model and opens a chat with it; `onAdded` is told of each new model. */
export interface House { models: Model[]; onChat: (model: string) => void; onAdded: () => void }

const ICONS: Record<Way, ReactNode> = { catalogue: <AppstoreOutlined />, search: <SearchOutlined />, machine: <HddOutlined />, endpoint: <ApiOutlined /> }

/** The room in which an administrator gets a model. Each way has an address of its own. */
export default function AddModelPage(house: House) {
  const { t } = useT()
  const place = placeOf(usePath())
  const views: Record<Way, ReactNode> = { catalogue: <Catalogue {...house} />, search: <SearchWay />, machine: <MachineWay {...house} />, endpoint: <EndpointWay {...house} /> }
  const ways = (Object.keys(views) as Way[]).map((way) => ({ key: way, icon: ICONS[way], label: <span data-testid={`hub-way-${way}`}>{t(`hub.way.${way}`)}</span>, children: views[way] }))
  return (
    <div className="room" data-testid="hub-page">
      <div className="room-inner hub">
        {place.repo
          ? <RouteLink to={wayPath('search')} className="hub-back" data-testid="hub-back"><ArrowLeftOutlined /> {t('hub.repo.back')}</RouteLink>
          : <RouteLink to="/models" className="hub-back" data-testid="hub-back"><ArrowLeftOutlined /> {t('hub.back')}</RouteLink>}
        <Running apartFrom={place.repo} onChat={house.onChat} />
        {place.repo
          ? <RepoPage key={`${place.repo.hub} ${place.repo.repo}`} {...place.repo} {...house} />
          : <Tabs className="hub-ways" aria-label={t('hub.ways')} activeKey={place.way} items={ways} destroyOnHidden onChange={(way) => navigate(wayPath(way as Way))} />}
      </div>
    </div>
  )
}

/** What is under way for anyone, in sight on every way; a repository's own page tells of its own. */
function Running({ apartFrom, onChat }: { apartFrom: { hub: string; repo: string } | null; onChat: (model: string) => void }) {
  const { t } = useT()
  const shown = shownDownloads(useStore(downloads)).filter((one) => one.hub !== apartFrom?.hub || one.repo !== apartFrom.repo)
  if (shown.length === 0) return null
  return (
    <section className="hub-running" aria-label={t('hub.downloads')}>
      {shown.map((one) => <DownloadCard key={one.id} download={one} onChat={onChat} linked />)}
    </section>
  )
}
