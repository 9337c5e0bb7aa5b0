import { clock, exactTime } from '../i18n/format';

/** A moment as the clock showed it; the exact one on hover and for machines. */
export function Time({ at, className }: { at: string; className?: string }) {
  const d = new Date(at);
  if (Number.isNaN(d.getTime())) return null;
  return (
    <time dateTime={d.toISOString()} title={exactTime(d)} className={className}>
      {clock(d)}
    </time>
  );
}
