import { useEffect, useState } from 'react'
import { useT } from '@/shared/i18n'
import { useStore } from '@/shared/lib/store'
import { socket } from '@/shared/socket'
import { statusLine } from '../stores/status'
import type { Entry } from '../stores/transcript'

/** What is true now, in words. Seconds tick here, so that nothing else is drawn for them, and no reader is told each. */
export function StatusLine({ entry, model }: { entry: Entry; model: string }) {
  const words = useT()
  const link = useStore(socket.link)
  const thinking = entry.live?.thinkingSince != null
  const now = useNow(thinking)
  const line = statusLine(entry, words, { model, connected: link.state === 'open', now })
  if (!line) return null
  return (
    <div className={`status-line status-${line.tone}`} data-testid="status-line" role={line.tone === 'bad' ? 'alert' : thinking ? undefined : 'status'}>
      <span className="status-dot" aria-hidden="true" />
      <span className="status-text">{line.text}</span>
    </div>
  )
}

function useNow(ticking: boolean): number {
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    if (!ticking) return
    const timer = setInterval(() => setNow(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [ticking])
  return now
}
