import { BulbOutlined, CodeOutlined, EditOutlined } from '@ant-design/icons'
import { Prompts, Welcome } from '@ant-design/x'
import { useT, type Key } from '@/shared/i18n'
import { Mark } from '@/shared/ui/Mark'

const hello = (hour: number): Key => (hour < 5 || hour >= 18 ? 'chat.greeting.evening' : hour < 12 ? 'chat.greeting.morning' : 'chat.greeting.day')

export function Greeting({ name, model, modelsKnown, onPick }: { name: string; model: string | null; modelsKnown: boolean; onPick: (text: string) => void }) {
  const { t } = useT()
  const items = [
    { key: 'write', icon: <EditOutlined />, label: t('chat.prompt.write'), description: t('chat.prompt.write.text'), text: t('chat.prompt.write.text') },
    { key: 'code', icon: <CodeOutlined />, label: t('chat.prompt.code'), description: t('chat.prompt.code.about'), text: t('chat.prompt.code.text') },
    { key: 'learn', icon: <BulbOutlined />, label: t('chat.prompt.learn'), description: t('chat.prompt.learn.text'), text: t('chat.prompt.learn.text') },
  ]
  return (
    <div className="greeting">
      <Welcome variant="borderless" icon={<Mark size={44} />} title={t(hello(new Date().getHours()), { name })}
        description={model ? t('chat.welcome', { model }) : modelsKnown ? t('chat.welcomeNoModel') : '\u00a0'} />
      <Prompts wrap className="greeting-prompts" items={items.map(({ text: _text, ...item }) => item)}
        onItemClick={({ data }) => { const item = items.find((candidate) => candidate.key === data.key); if (item) onPick(item.text) }} />
    </div>
  )
}
