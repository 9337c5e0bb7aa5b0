import type { ReactNode } from 'react';

import { later } from './later';

/** An error as the store holds it. */
export interface ShownError {
  readonly code: string;
  readonly message: string;
  readonly requestId?: string;
  readonly of?: 'calls' | 'runs';
}

export interface ErrorNoteProps {
  error: ShownError;
  /** What was kept, where the place knows it better than the code. */
  kept?: string | undefined;
  /** A button that does what is to be done. */
  children?: ReactNode;
}

/** What happened, what was kept, what to do, and a reference to copy. Until the words are here, the error's own have to do. */
export const ErrorNote = later<ErrorNoteProps>(
  () => import('./ErrorDetails').then((m) => m.ErrorDetails),
  ({ error, children }) => (
    <>
      {error.message} {children}
    </>
  ),
  'quiet',
);
