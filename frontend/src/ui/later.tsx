import { useEffect, useState, type ComponentType, type ReactNode } from 'react';

import { t } from '../i18n/t';
import { Button } from './Button';

/** A part of the page that lies in a file of its own. */
interface Part<P> {
  (props: P): ReactNode;
  /** Fetches it ahead of the first need. */
  preload: () => void;
}

/** What to draw while a part is not here, perhaps from its props. */
type Instead<P> = ReactNode | ((props: P) => ReactNode);

const all: (() => Promise<unknown>)[] = [];

/** Fetches what nobody has needed yet, one file after the other, so that it is here without a connection too. */
export async function fetchAhead(): Promise<void> {
  for (let fetch = all.shift(); fetch; fetch = all.shift()) await fetch().catch(() => undefined);
}

/**
 * Draws a part once its file is here, at once where it is already; unlike lazy
 * it can be asked for again when it did not come, as in the minute of a deploy.
 * A quiet one is done without then: what stands in its place goes on standing there.
 */
export function later<P extends object>(
  load: () => Promise<ComponentType<P>>,
  waiting: Instead<P> = null,
  quiet?: 'quiet',
): Part<P> {
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

  all.push(fetchPart);

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
    if (state !== 'failed' || quiet) return typeof waiting === 'function' ? waiting(props) : waiting;
    return (
      <div role="alert" className="m-2 space-y-2 rounded-md border border-line bg-surface p-3 text-control">
        <p>{t.crash.missing}</p>
        <Button onClick={() => setState('coming')}>{t.common.tryAgain}</Button>
      </div>
    );
  }
  return Object.assign(Later, { preload: () => void fetchPart().catch(() => undefined) });
}
