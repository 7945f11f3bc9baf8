import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

const server = process.env.HEARTH_SERVER ?? 'http://127.0.0.1:8000'

// Django renders index.html and WhiteNoise serves the rest below /static/page/.
export default defineConfig(({ command }) => ({
  base: command === 'build' ? '/static/page/' : '/',
  plugins: [react()],
  resolve: { alias: { '@': new URL('./src', import.meta.url).pathname } },
  html: { cspNonce: command === 'build' ? '__CSP_NONCE__' : undefined },
  build: {
    // Fonts and images stay files: a data: address would only make the first load heavier.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1200,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: 'react', test: /node_modules[\\/](react|react-dom|scheduler)[\\/]/ },
            { name: 'antd', test: /node_modules[\\/](antd|@ant-design[\\/](cssinjs|icons|colors)|@rc-component)/ },
          ],
        },
      },
    },
  },
  server: {
    proxy: {
      '/api': { target: server },
      '/v1': { target: server },
      '/ws': { target: server, ws: true },
    },
  },
  test: { environment: 'node', include: ['src/**/*.test.ts'] },
}))
