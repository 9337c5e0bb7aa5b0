import { useEffect, useRef } from 'react';

import { activeRun } from '../core/path';
import { useStore } from '../core/react';
import { isUnread } from '../core/selectors';
import { t } from '../i18n/t';

const hidden = () => document.visibilityState === 'hidden';

/** The tab says what it shows, or that a reply is ready which nobody has seen: in another conversation, or while the tab was away. */
export function useTitle() {
  const id = useStore((s) => s.open?.id);
  const title = useStore((s) => s.open?.state.title ?? '');
  const running = useStore((s) => s.open !== undefined && activeRun(s.open.state) !== undefined);
  const items = useStore((s) => s.conversations.items);
  /** What was being answered when this last looked. */
  const busy = useRef<ReadonlySet<string>>(new Set());
  const ready = useRef<string>(undefined);

  useEffect(() => {
    const now = new Set(items.filter((i) => i.status !== 'idle').map((i) => i.conversation_id));
    // The list hears of the conversation on screen later than the screen does.
    if (id !== undefined) {
      if (running) now.add(id);
      else now.delete(id);
    }
    for (const was of busy.current) {
      if (!now.has(was) && (was !== id || hidden())) ready.current = was;
    }
    busy.current = now;

    const draw = () => {
      const name = title === '' ? t.app.name : t.app.pageTitle(title);
      const found = items.find((i) => i.conversation_id === ready.current);
      const seen = ready.current === id ? !hidden() : !found || !isUnread(found);
      if (ready.current === undefined || seen) {
        ready.current = undefined;
        document.title = name;
        return;
      }
      const whose = (ready.current === id ? title : found?.title) ?? '';
      document.title = t.app.replyReady(whose === '' ? t.app.name : whose);
    };
    draw();
    document.addEventListener('visibilitychange', draw);
    return () => document.removeEventListener('visibilitychange', draw);
  }, [id, items, running, title]);
}
