import type { ClientFrame } from '../protocol/types';

/** The socket of whoever is signed in, if there is one; false means not sent. */
export interface Link {
  send(frame: ClientFrame): boolean;
}
