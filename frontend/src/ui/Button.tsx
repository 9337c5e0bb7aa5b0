import type { ComponentProps, ReactNode } from 'react';

import { cx } from './cx';

type Kind = 'primary' | 'plain' | 'quiet' | 'danger';

const kinds: Readonly<Record<Kind, string>> = {
  primary: 'bg-accent text-on-accent hover:opacity-90 disabled:bg-raised disabled:text-muted disabled:opacity-100',
  plain: 'border border-edge bg-bg hover:bg-raised disabled:text-muted disabled:hover:bg-bg',
  quiet: 'text-accent hover:bg-accent-soft disabled:text-muted disabled:hover:bg-transparent',
  danger: 'border border-danger text-danger hover:bg-danger-soft',
};

interface ButtonProps extends ComponentProps<'button'> {
  kind?: Kind;
}

export function Button({ kind = 'plain', className, type = 'button', ...rest }: ButtonProps) {
  return (
    <button
      type={type}
      className={cx(
        'inline-flex target-row shrink-0 items-center justify-center gap-2 rounded-sm px-3 text-control font-medium transition-[background-color,opacity]',
        kinds[kind],
        className,
      )}
      {...rest}
    />
  );
}

interface IconButtonProps extends Omit<ComponentProps<'button'>, 'aria-label'> {
  /** The accessible name, shown as a tooltip too. */
  label: string;
  children: ReactNode;
}

/** A button that is only an icon. */
export function IconButton({ label, className, type = 'button', children, ...rest }: IconButtonProps) {
  return (
    <button
      type={type}
      aria-label={label}
      title={label}
      className={cx(
        'inline-flex target shrink-0 items-center justify-center rounded-sm text-muted transition-colors hover:bg-raised hover:text-text disabled:opacity-50 disabled:hover:bg-transparent',
        className,
      )}
      {...rest}
    >
      {children}
    </button>
  );
}
