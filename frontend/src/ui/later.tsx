import { useEffect, useState, type ComponentType, type ReactNode } from 'react';

import { t } from '../i18n/t';
import { Button } from './Button';

/** A part of the page that lies in a file of its own. */
interface Part<P> {
  (props: P): ReactNode;
  /** Fetches it ahead of the first need. */
  preload: () => void;
}

/**
 * Draws a part once its file is here, at once where it is already; unlike lazy
 * it can be asked for again when it did not come, as in the minute of a deploy.
 */
export function later<P extends object>(load: () => Promise<ComponentType<P>>, waiting: ReactNode = null): Part<P> {
  let part: ComponentType<P> | undefined;
  let coming: Promise<void> | undefined;

  function fetchPart(): Promise<void> {
    coming ??= load().then(
      (component) => {
        part = component;
      },
      (err: unknown) => {
        coming = undefined;
        throw err;
      },
    );
    return coming;
  }

  function Later(props: P) {
    const [state, setState] = useState<'coming' | 'here' | 'failed'>('coming');
    const Part = part;
    useEffect(() => {
      if (Part || state !== 'coming') return;
      let here = true;
      fetchPart().then(
        () => here && setState('here'),
        () => here && setState('failed'),
      );
      return () => {
        here = false;
      };
    }, [Part, state]);

    if (Part) return <Part {...props} />;
    if (state !== 'failed') return waiting;
    return (
      <div role="alert" className="m-2 space-y-2 rounded-md border border-line bg-surface p-3 text-control">
        <p>{t.crash.missing}</p>
        <Button onClick={() => setState('coming')}>{t.common.tryAgain}</Button>
      </div>
    );
  }
  return Object.assign(Later, { preload: () => void fetchPart().catch(() => undefined) });
}
