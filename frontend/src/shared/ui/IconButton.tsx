import { Button, Tooltip, type ButtonProps } from 'antd'
import type { Ref } from 'react'

type Props = Omit<ButtonProps, 'aria-label' | 'children'> & { label: string; ref?: Ref<HTMLButtonElement>; 'data-testid'?: string }

/** A button that is only a picture still says its name, to eyes (tooltip) and to screen readers. */
export function IconButton({ label, type = 'text', ...rest }: Props) {
  return (
    <Tooltip title={label} mouseEnterDelay={0.5}>
      <Button {...rest} type={type} aria-label={label} />
    </Tooltip>
  )
}
