import { ArrowRightOutlined, SearchOutlined } from '@ant-design/icons'
import { Alert, Button, Empty, Input, Segmented, Skeleton } from 'antd'
import { useEffect } from 'react'
import { useT } from '@/shared/i18n'
import { compact, parametersOf } from '@/shared/lib/figures'
import { touch } from '@/shared/lib/media'
import { useStore } from '@/shared/lib/store'
import { RouteLink } from '@/shared/ui/RouteLink'
import { repoIn, repoPath } from '../address'
import { useHubProblem } from '../hooks/useHubProblem'
import { hubTitle, useHubs } from '../hooks/useHubs'
import { search } from '../stores/search'
import type { Hit, Hub, HubName } from '../types'

/** One hub at a time is searched; the one that answers faster is suggested and chosen first. */
export function SearchWay() {
  const { t } = useT()
  const found = useStore(search.found)
  const { hubs, measured, suggested } = useHubs()
  useEffect(() => { if (found.hub === null && suggested) search.choose(suggested) }, [found.hub, suggested])
  const hub = found.hub ?? 'modelscope'
  const pasted = repoIn(found.query)
  return (
    <>
      <div className="hub-filter">
        <Segmented<HubName> aria-label={t('hub.hubs')} value={hub} onChange={(name) => search.choose(name)} data-testid="hub-choice"
          options={hubs.map((one) => ({ value: one.hub, label: <HubLabel hub={one} measured={measured} /> }))} />
        <Input className="hub-query" prefix={<SearchOutlined />} allowClear autoFocus={!touch.get()} placeholder={t('hub.search.placeholder')} aria-label={t('hub.search.label', { hub: hubTitle(hub) })}
          value={found.query} onChange={(event) => search.type(event.target.value)} onPressEnter={() => search.now()} spellCheck={false} autoComplete="off" data-testid="hub-query" />
      </div>
      <Reach hubs={hubs} measured={measured} />
      {pasted && <Direct hub={pasted.hub ?? hub} repo={pasted.repo} />}
      <Hits hub={hub} other={hub === 'modelscope' ? 'huggingface' : 'modelscope'} />
    </>
  )
}

function HubLabel({ hub, measured }: { hub: Hub; measured: boolean }) {
  const { t } = useT()
  const told = !measured || hub.reachable === null ? (measured ? null : t('hub.hub.asking')) : !hub.reachable ? t('hub.hub.away') : hub.latency_ms !== null ? t('hub.hub.ms', { ms: Math.round(hub.latency_ms) }) : null
  return <span className="hub-label" data-testid={`hub-${hub.hub}`} data-reachable={String(hub.reachable)}>{hub.title}{told && <small>{told}</small>}</span>
}

function Reach({ hubs, measured }: { hubs: Hub[]; measured: boolean }) {
  const { t } = useT()
  if (!measured) return null
  if (hubs.every((hub) => hub.reachable === false)) return <Alert className="hub-note" type="warning" showIcon title={t('hub.hub.none')} data-testid="hub-none" />
  const suggested = hubs.find((hub) => hub.suggested)
  return suggested ? <p className="hub-quiet hub-note">{t('hub.hub.suggested', { hub: suggested.title })}</p> : null
}

function Direct({ hub, repo }: { hub: HubName; repo: string }) {
  const { t } = useT()
  return <RouteLink className="hit hit-direct" to={repoPath(hub, repo)} data-testid="hub-direct"><span className="hit-name">{t('hub.search.open', { repo, hub: hubTitle(hub) })}</span><ArrowRightOutlined /></RouteLink>
}

function Hits({ hub, other }: { hub: HubName; other: HubName }) {
  const { t } = useT()
  const found = useStore(search.found)
  const problemOf = useHubProblem()
  const elsewhere = <Button size="small" onClick={() => search.choose(other)}>{t('hub.search.other', { hub: hubTitle(other) })}</Button>
  if (found.state === 'empty') return <p className="hub-quiet hub-note">{t('hub.search.empty')}</p>
  if (found.state === 'waiting') return <div className="hub-note" role="status"><span className="hub-quiet">{t('hub.search.waiting', { hub: hubTitle(hub) })}</span><Skeleton active title={false} paragraph={{ rows: 4 }} /></div>
  if (found.state === 'failed') {
    return <Alert className="hub-note" type="error" showIcon title={problemOf(found.error, hub)} data-testid="hub-problem" action={<span className="hub-twin"><Button size="small" onClick={() => search.now()}>{t('common.retry')}</Button>{elsewhere}</span>} />
  }
  if (found.hits.length === 0) return <Empty className="hub-note" description={t('hub.search.nothing', { hub: hubTitle(hub), query: found.query.trim() })}>{elsewhere}</Empty>
  return (
    <>
      <p className="hub-quiet hub-note" role="status">{t('hub.search.found', { count: found.hits.length, hub: hubTitle(hub) })}</p>
      <ul className="hits">{found.hits.map((hit) => <li key={hit.repo}><HitRow hit={hit} /></li>)}</ul>
    </>
  )
}

function HitRow({ hit }: { hit: Hit }) {
  const { t, bytes, lang } = useT()
  const facts = [
    hit.parameters ? parametersOf(hit.parameters) : null,
    hit.size_bytes ? bytes(hit.size_bytes) : null,
    hit.license,
    hit.downloads !== null ? t('hub.hit.downloads', { count: compact(hit.downloads, lang) }) : null,
    hit.likes !== null ? t('hub.hit.likes', { count: compact(hit.likes, lang) }) : null,
    hit.updated ? t('hub.hit.updated', { date: new Date(hit.updated).toLocaleDateString(lang === 'zh' ? 'zh-CN' : 'en') }) : null,
  ].filter((fact) => fact !== null)
  return (
    <RouteLink className="hit" to={repoPath(hit.hub, hit.repo)} data-testid="hub-hit" data-repo={hit.repo}>
      <span className="hit-name">{hit.repo}</span>
      {hit.model && <span className="hit-here">{t('hub.here')}</span>}
      <span className="hit-facts">{facts.map((fact) => <span key={fact}>{fact}</span>)}</span>
    </RouteLink>
  )
}
