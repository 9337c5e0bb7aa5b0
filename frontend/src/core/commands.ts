import type { CallResult, Command, ServerFrame } from '../protocol/types';
import { Failure, isPassing } from './errors';
import type { Link } from './link';

type Answer = Extract<ServerFrame, { type: 'accepted' | 'done' }> | CallResult;

interface Waiting {
  frame: Command;
  sent: boolean;
  tries: number;
  timer: ReturnType<typeof setTimeout>;
  resolve(answer: Answer): void;
  reject(err: Failure): void;
}

/** How long a command may take, connection and all, before its person is told. */
const patience = 20_000;

/** Commands with one answer each. */
export interface Commands {
  /** Sends a command, again after a lost connection: its id lets the server do it once. */
  request(frame: Command): Promise<Answer>;
  /** Whether the frame was an answer to one of them. */
  frame(f: ServerFrame): boolean;
  online(): void;
  /** Nobody waits any more. */
  clear(): void;
}

export function createCommands(link: Link): Commands {
  const waiting = new Map<string, Waiting>();

  function settle(id: string, f: (w: Waiting) => void) {
    const w = waiting.get(id);
    if (!w) return;
    waiting.delete(id);
    clearTimeout(w.timer);
    f(w);
  }

  function send(w: Waiting) {
    w.sent = link.send(w.frame) || w.sent;
  }

  return {
    request(frame) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          settle(frame.id, (w) =>
            w.reject(
              w.sent
                ? new Failure('timeout', 'The server has not answered. It may still do this.')
                : new Failure('offline', 'There is no connection. Nothing was changed.'),
            ),
          );
        }, patience);
        const w: Waiting = { frame, sent: false, tries: 0, timer, resolve, reject };
        waiting.set(frame.id, w);
        send(w);
      });
    },

    frame(f) {
      switch (f.type) {
        case 'done':
        case 'call_result':
        case 'accepted': {
          const known = waiting.has(f.id);
          settle(f.id, (w) => w.resolve(f));
          return known;
        }
        case 'call':
          return waiting.has(f.id);
        case 'error': {
          const w = f.id === undefined ? undefined : waiting.get(f.id);
          if (!w) return false;
          if (isPassing(f.code) && w.tries++ < 3) {
            setTimeout(() => waiting.has(w.frame.id) && send(w), (f.retry_after ?? w.tries) * 1000);
          } else {
            settle(w.frame.id, () => w.reject(new Failure(f.code, f.message, f.id)));
          }
          return true;
        }
        default:
          return false;
      }
    },

    online() {
      for (const w of waiting.values()) send(w);
    },

    clear() {
      for (const id of [...waiting.keys()]) {
        settle(id, (w) => w.reject(new Failure('signed_out', 'You have signed out.')));
      }
    },
  };
}
