import { App } from 'antd'
import { useState } from 'react'
import { useT } from '@/shared/i18n'
import { refreshModels } from '../stores/models'

/** Does one thing at a time and reads the models again; what goes wrong is told in a line above the page. */
export function useAct(): { busy: string | null; act: (name: string, work: () => Promise<unknown>) => Promise<boolean> } {
  const { problem } = useT()
  const { message } = App.useApp()
  const [busy, setBusy] = useState<string | null>(null)
  const act = async (name: string, work: () => Promise<unknown>): Promise<boolean> => {
    setBusy(name)
    try {
      await work()
      await refreshModels()
      return true
    } catch (error) {
      void message.error(problem(error))
      return false
    } finally {
      setBusy(null)
    }
  }
  return { busy, act }
}
