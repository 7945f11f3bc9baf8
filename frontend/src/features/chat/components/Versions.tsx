import { LeftOutlined, RightOutlined } from '@ant-design/icons'
import { useT } from '@/shared/i18n'
import { IconButton } from '@/shared/ui/IconButton'

/** ‹2/3›: the ways to the other versions of a message; nothing while there is one only. */
export function Versions({ id, siblings, busy, onShow }: { id: string; siblings: string[]; busy: boolean; onShow: (message: string) => void }) {
  const { t } = useT()
  const at = siblings.indexOf(id)
  if (siblings.length < 2 || at < 0) return null
  const [before, after] = [siblings[at - 1], siblings[at + 1]]
  return (
    <span className="versions" data-testid="versions">
      <IconButton size="small" label={t('chat.previous')} icon={<LeftOutlined />} disabled={busy || !before} onClick={() => before && onShow(before)} />
      <span aria-label={t('chat.version', { index: at + 1, count: siblings.length })}>{at + 1}/{siblings.length}</span>
      <IconButton size="small" label={t('chat.next')} icon={<RightOutlined />} disabled={busy || !after} onClick={() => after && onShow(after)} />
    </span>
  )
}
