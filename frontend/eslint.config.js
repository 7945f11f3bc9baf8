import hooks from 'eslint-plugin-react-hooks'
import tseslint from 'typescript-eslint'

const features = ['auth', 'conversations', 'chat', 'hub', 'models']

const isolated = features.map((name) => ({
  files: [`src/features/${name}/**/*.{ts,tsx}`],
  rules: {
    'no-restricted-imports': ['error', {
      patterns: [
        { group: features.filter((other) => other !== name).map((other) => `@/features/${other}/**`), message: 'Features never import each other; the app composes them.' },
        { group: ['@/app/**'], message: 'The app imports features, never the other way round.' },
        { regex: '^(\\.\\./){3,}|^\\.\\./\\.\\./(?!stores|api|components|hooks)', message: 'Leave the feature through @/shared only.' },
      ],
    }],
  },
}))

export default tseslint.config(
  { ignores: ['dist', 'node_modules', 'src/shared/types/api.d.ts'] },
  ...tseslint.configs.recommended,
  { rules: { '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }] } },
  hooks.configs.flat['recommended-latest'] ?? hooks.configs['recommended-latest'],
  {
    files: ['src/shared/**/*.{ts,tsx}'],
    rules: { 'no-restricted-imports': ['error', { patterns: [{ group: ['@/app/**', '@/features/**'], message: 'Shared code knows no feature.' }] }] },
  },
  ...isolated,
)
