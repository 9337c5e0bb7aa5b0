import { RefreshCw, WifiOff } from 'lucide-react';
import { useEffect, useState } from 'react';

import { t } from '../i18n/t';
import { Button } from './Button';
import { useAnnounce } from './announce';
import { useNow } from './useNow';

interface Props {
  online: boolean;
  /** When the next try is, in ms since the epoch. */
  retryAt: number | undefined;
  /** Messages that wait for the connection. */
  waiting: number;
  onRetry: () => void;
}

/** For how long a connection may be gone before anybody is told. */
const patience = 2000;

/** Says that the page tries to reconnect. It never covers what one writes. */
export function ConnectionBanner({ online, ...rest }: Props) {
  const [late, setLate] = useState(false);
  const announce = useAnnounce();

  useEffect(() => {
    if (online) return;
    const timer = setTimeout(() => {
      setLate(true);
      announce(t.connection.lost);
    }, patience);
    return () => {
      clearTimeout(timer);
      setLate(false);
    };
  }, [online, announce]);

  useEffect(() => {
    if (!late) return;
    return () => announce(t.connection.back);
  }, [late, announce]);

  return late && !online ? <Offline {...rest} /> : null;
}

function Offline({ retryAt, waiting, onRetry }: Omit<Props, 'online'>) {
  const now = useNow(500);
  const seconds = retryAt === undefined ? 0 : Math.ceil((retryAt - now) / 1000);
  return (
    <div className="no-print flex shrink-0 flex-wrap items-center gap-x-3 gap-y-0.5 bg-warn-soft px-4 py-1 text-meta text-warn">
      <WifiOff size={16} aria-hidden className="shrink-0" />
      <span className="tabular">{seconds > 0 ? t.connection.reconnectingIn(seconds) : t.connection.reconnecting}</span>
      <button
        type="button"
        onClick={onRetry}
        className="target-row font-medium underline underline-offset-3 hover:decoration-2"
      >
        {t.connection.retryNow}
      </button>
      <span className="text-muted">{waiting > 0 ? t.connection.keptMessages(waiting) : t.connection.kept}</span>
    </div>
  );
}

/** The server speaks another version than this page. */
export function VersionBanner({ onReload }: { onReload: () => void }) {
  return (
    <div className="no-print flex shrink-0 items-center justify-between gap-3 bg-accent-soft px-4 py-1 text-meta">
      {t.app.newVersion}
      <Button kind="quiet" onClick={onReload}>
        <RefreshCw size={16} aria-hidden />
        {t.app.reload}
      </Button>
    </div>
  );
}
