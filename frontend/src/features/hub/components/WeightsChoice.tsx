import { Radio } from 'antd'
import { useT } from '@/shared/i18n'
import { quantOf, SAFETENSORS, type Weights } from '../stores/choice'

interface Props { weights: Weights[]; chosen: string[] | undefined; waiting: boolean; onChoose: (files: string[] | undefined) => void }

/** Of several weights one is fetched. */
export function WeightsChoice({ weights, chosen, waiting, onChoose }: Props) {
  const { t, bytes } = useT()
  const current = chosen ? weights.find((one) => one.files[0] === chosen[0]) : weights.find((one) => one.wanted)
  return (
    <section className="repo-box repo-weights" aria-busy={waiting}>
      <h3>{t('hub.repo.weights')}</h3>
      <p className="hub-quiet">{t('hub.repo.weightsHint')}</p>
      <Radio.Group value={current?.name} onChange={(event) => { const one = weights.find((other) => other.name === event.target.value); if (one) onChoose(one.files.length > 0 ? one.files : undefined) }}>
        {weights.map((one) => (
          <Radio key={one.name} value={one.name} data-testid="weights" data-name={one.name}>
            <span className="weights-row"><strong>{one.name === SAFETENSORS ? '' : (quantOf(one.name) ?? '')}</strong><span className="weights-name">{one.name}</span><span className="weights-size">{bytes(one.size)}</span></span>
          </Radio>
        ))}
      </Radio.Group>
    </section>
  )
}
