import { useLocation } from 'wouter';

import { clock } from '../i18n/format';
import { t } from '../i18n/t';
import { cx } from '../ui/cx';
import { usePast } from '../ui/past';
import { Time } from '../ui/Time';
import { within } from '../ui/within';

interface Props {
  id: string;
  at: string;
  /** It stands at the end of its line. */
  end?: boolean;
  className?: string;
}

/** When something was said, which is also the address of that message. */
export function MessageLink({ id, at, end = false, className }: Props) {
  const [, navigate] = useLocation();
  const past = usePast() !== undefined;
  const d = new Date(at);
  if (Number.isNaN(d.getTime())) return null;
  // In a replay the address is that of an instant.
  if (past)
    return <Time at={at} className={cx('px-1.5 text-caption tabular text-muted', end && 'at-end', className)} />;
  return (
    <a
      href={`?m=${encodeURIComponent(id)}`}
      aria-label={t.chat.linkTo(clock(d))}
      onClick={within(() => {
        const query = new URLSearchParams(window.location.search); // the branch stays
        query.set('m', id);
        navigate(`${window.location.pathname}?${query}`);
      })}
      className={cx(
        'target inline-flex items-center justify-center rounded-sm px-1.5 text-caption tabular text-muted hover:underline',
        className,
      )}
    >
      <Time at={at} className={cx(end && 'at-end')} />
    </a>
  );
}
