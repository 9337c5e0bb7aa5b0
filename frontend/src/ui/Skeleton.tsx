import { t } from '../i18n/t';
import { cx } from './cx';

const widths = ['w-3/4', 'w-1/2', 'w-2/3', 'w-5/6', 'w-2/5'];

/** Stands where rows will be; invisible for the first 300 ms. */
export function Skeleton({ rows, className }: { rows: number; className?: string }) {
  return (
    <div className={cx('late space-y-3 p-4', className)} role="group" aria-label={t.common.loading} aria-busy="true">
      {Array.from({ length: rows }, (_, i) => (
        <div key={i} className={cx('h-4 breathe rounded-sm bg-raised', widths[i % widths.length])} />
      ))}
    </div>
  );
}
