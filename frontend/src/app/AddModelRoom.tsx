import { App } from 'antd'
import { useEffect } from 'react'
import { chatOf } from '@/features/chat/stores/chats'
import AddModelPage from '@/features/hub/components/AddModelPage'
import { connectDownloads } from '@/features/hub/stores/downloads'
import { loadModel } from '@/features/models/api/models'
import { models, refreshModels } from '@/features/models/stores/models'
import { useT } from '@/shared/i18n'
import { useStore } from '@/shared/lib/store'
import { navigate } from '@/shared/router'

/** The room in which a model is added, beside the house's list of models and the chat that may follow. */
export default function AddModelRoom() {
  const { problem } = useT()
  const { message } = App.useApp()
  const { items } = useStore(models)
  useEffect(() => connectDownloads(() => void refreshModels()), [])

  async function chatWith(id: string) {
    await refreshModels() // the chat finds only what this page knows
    chatOf(null).pick.set(id)
    navigate('/')
    loadModel(id).catch((error: unknown) => void message.error(problem(error)))
  }
  return <AddModelPage models={items} onChat={(id) => void chatWith(id)} onAdded={() => void refreshModels()} />
}
