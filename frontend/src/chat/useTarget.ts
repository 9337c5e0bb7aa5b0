import { useEffect, useRef } from 'react';

import { path, tipOf } from '../core/path';
import { useActions, useStore, useStoreObject } from '../core/react';
import { t } from '../i18n/t';

interface Options {
  /** The message that the address names. */
  target: string | undefined;
  /** Grows with each wish to go there, so that the same address can be wished for twice. */
  visit: number;
  tip: string | undefined;
  /** The message is on another branch. */
  onBranch: ((tip: string) => void) | undefined;
  /** Brings a message into view; false while it is not drawn. */
  show: (id: string) => boolean;
}

/** For how many frames a message that is there may take to be drawn. */
const patience = 300;

/** Brings the message that the address names into view, once for each visit. */
export function useTarget({ target, visit, tip, onBranch, show }: Options) {
  const id = useStore((s) => (s.open && s.open.state.user_id !== '' ? s.open.id : undefined));
  const actions = useActions();
  const store = useStoreObject();
  const done = useRef('');
  const key = `${id} ${target} ${visit}`;
  const latest = useRef({ tip, onBranch, show });
  useEffect(() => {
    latest.current = { tip, onBranch, show };
  });

  useEffect(() => {
    if (id === undefined || target === undefined || done.current === key) return;
    done.current = key;
    const here = () => (store.getState().open?.id === id && done.current === key ? store.getState().open : undefined);
    void actions.find(target).then((run) => {
      const open = here();
      if (!open) return;
      if (!run) {
        actions.toast('info', t.chat.noMessage);
        return;
      }
      if (!path(open.state, latest.current.tip).some((r) => r.run_id === run.run_id)) {
        latest.current.onBranch?.(tipOf(open.state, run).run_id);
      }
      // Its row has to be drawn first, and the list itself may be on its way.
      let frames = patience;
      const look = () => {
        if (here() && !latest.current.show(target) && frames-- > 0) requestAnimationFrame(look);
      };
      requestAnimationFrame(() => requestAnimationFrame(look));
    });
  }, [actions, store, id, target, key]);
}
