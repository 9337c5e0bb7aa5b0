import { ago, exactTime } from '../i18n/format';
import { cx } from './cx';
import { useMinute } from './useNow';

interface Props {
  at: string;
  className?: string;
  /** Says it whole, where nothing can be pointed at. */
  exact?: boolean;
}

/** A moment as people say it; the exact one on hover, with the focus on its message, and for machines. */
export function Time({ at, className, exact = false }: Props) {
  const now = useMinute();
  const d = new Date(at);
  if (Number.isNaN(d.getTime())) return null;
  const whole = exactTime(d);
  return (
    <time dateTime={d.toISOString()} title={whole} className={cx('exact', className)}>
      {exact ? whole : ago(d, new Date(now))}
    </time>
  );
}
