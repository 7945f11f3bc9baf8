import { MoreOutlined } from '@ant-design/icons'
import { Button, Dropdown } from 'antd'
import { lazy, Suspense, useState } from 'react'
import { useT, type Key } from '@/shared/i18n'
import type { Model } from '@/shared/types/wire'
import { changeModel, loadModel, makeMyDefault, pinModel, startDownload, steerDownload, unloadModel } from '../api/models'
import { useMine } from '../hooks/useMine'
import { useAct } from '../hooks/useAct'
import { primaryOf, repoOf, type Primary } from '../stores/card'
import { menuOf, type Entry } from './cardMenu'

const ApiCall = lazy(() => import('./ApiCall'))
const Access = lazy(() => import('./Access'))
const DeleteModel = lazy(() => import('./DeleteModel'))
const Settings = lazy(() => import('./Settings'))

const WORDS: Record<Primary, Key> = {
  download: 'models.download', resume: 'models.resume', pause: 'models.pause', load: 'models.load', again: 'models.loadAgain',
  cancel: 'models.cancelLoad', unload: 'models.unload', draining: 'models.state.draining', ask: 'models.ask',
}
const QUIET: Primary[] = ['unload', 'cancel', 'draining', 'pause']

interface Props { model: Model; admin: boolean; onAsk: (model: Model) => void }

/** One button for what is worth doing now; all else in the menu beside it. */
export function CardActions({ model, admin, onAsk }: Props) {
  const { t } = useT()
  const { busy, act } = useAct()
  const [open, setOpen] = useState<Entry | null>(null)
  const mine = useMine(model)
  const first = primaryOf(model, admin)
  const close = () => setOpen(null)

  function press(which: Primary): void {
    const repo = repoOf(model)
    switch (which) {
      case 'ask': onAsk(model); break
      case 'load': case 'again': void act(which, () => loadModel(model.id)); break
      case 'unload': case 'cancel': void act(which, () => unloadModel(model.id)); break
      case 'pause': case 'resume': void act(which, () => steerDownload(model.download?.id ?? '', which)); break
      case 'download': if (repo) void act(which, () => startDownload(repo)); break
      case 'draining': break
    }
  }

  function choose(entry: Entry): void {
    switch (entry) {
      case 'ask': onAsk(model); break
      case 'default': void act(entry, () => changeModel(model.id, { is_default: true })); break
      case 'mine': void act(entry, () => makeMyDefault(mine ? '' : model.id)); break
      case 'pin': void act(entry, () => pinModel(model.id, !model.pinned)); break
      case 'cancelDownload': void act(entry, () => steerDownload(model.download?.id ?? '', 'cancel')); break
      case 'enable': void act(entry, () => changeModel(model.id, { enabled: model.enabled === false })); break
      default: setOpen(entry)
    }
  }

  return (
    <div className="card-actions">
      {first && (
        <Button size="small" type={QUIET.includes(first) ? 'default' : 'primary'} loading={busy === first} disabled={first === 'draining'}
          onClick={() => press(first)} data-testid={`model-${first}`}>{t(WORDS[first])}</Button>
      )}
      <Dropdown destroyOnHidden trigger={['click']} placement="bottomRight" menu={{ items: menuOf(model, { admin, mine, first }, t), onClick: ({ key, domEvent }) => { domEvent.stopPropagation(); choose(key as Entry) } }}>
        <Button className="card-more" size="small" type="text" icon={<MoreOutlined />} loading={busy !== null && busy !== first} aria-label={t('models.more', { name: model.name })} data-testid="model-more" />
      </Dropdown>
      <Suspense fallback={null}>
        {open === 'call' && <ApiCall model={model} onClose={close} />}
        {open === 'access' && <Access model={model} onClose={close} />}
        {open === 'settings' && <Settings model={model} onClose={close} />}
        {open === 'delete' && <DeleteModel model={model} onClose={close} />}
      </Suspense>
    </div>
  )
}
