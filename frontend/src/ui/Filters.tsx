import type { ReactNode } from 'react';

import { cx } from './cx';

interface Props<F extends string> {
  label: string;
  filters: readonly F[];
  chosen: F;
  onChoose: (filter: F) => void;
  /** What is written on the choice of a filter. */
  children: (filter: F) => ReactNode;
  className?: string;
  /** How wide a choice is, and how its parts stand. */
  choice: string;
}

/** A bar of filters, one of which holds. */
export function Filters<F extends string>({ label, filters, chosen, onChoose, children, className, choice }: Props<F>) {
  return (
    <div role="group" aria-label={label} className={cx('flex shrink-0 gap-0.5 rounded-md bg-raised p-0.5', className)}>
      {filters.map((f) => (
        <button
          key={f}
          type="button"
          aria-pressed={f === chosen}
          onClick={() => onChoose(f)}
          className={cx(
            'flex min-h-7 items-center justify-center rounded-sm pointer-coarse:min-h-11',
            choice,
            f === chosen ? 'selected bg-bg font-medium shadow-[0_1px_2px_var(--shade)]' : 'text-muted hover:text-text',
          )}
        >
          {children(f)}
        </button>
      ))}
    </div>
  );
}
