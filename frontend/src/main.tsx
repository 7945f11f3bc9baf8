import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from '@/app/App'
import { ErrorBoundary } from '@/app/ErrorBoundary'
import { Providers } from '@/app/Providers'
import '@/app/styles/base.css'
import '@/app/styles/frame.css'
import '@/app/styles/chat.css'
import '@/app/styles/prose.css'
import '@/app/styles/rooms.css'
import '@/app/styles/models.css'
import '@/app/styles/hub.css'

const root = document.getElementById('root')
if (!root) throw new Error('index.html has no #root')
createRoot(root).render(
  <StrictMode>
    <Providers>
      <ErrorBoundary><App /></ErrorBoundary>
    </Providers>
  </StrictMode>,
)
