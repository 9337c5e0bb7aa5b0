import { useState, type ReactNode } from 'react';

import { t } from '../i18n/t';
import type { Run } from '../protocol/types';
import { doneSummary } from '../tools/summaries';
import { Button } from '../ui/Button';
import { Dialog } from '../ui/Dialog';
import { changesOf } from './answer';

/** Where the browser puts the focus when it shows the dialog; React's own autoFocus comes too early for that. */
const focusFirst = (el: HTMLElement | null) => el?.setAttribute('autofocus', '');

/**
 * Answering again runs the tools again: a second “Buy groceries”. Where the answer has changed something, the person
 * is told what and asked first.
 */
export function useAnswerAgain(run: Run, onAgain: (run: Run) => void): { again: () => void; question: ReactNode } {
  const [asking, setAsking] = useState(false);
  const changes = changesOf(run);
  const close = () => setAsking(false);
  return {
    again: () => {
      if (changes.length > 0) setAsking(true);
      else onAgain(run);
    },
    question: changes.length > 0 && (
      <Dialog open={asking} onClose={close} label={t.chat.again.title} heading>
        <div className="space-y-3 overflow-y-auto p-4 text-control">
          <p>{t.chat.again.changed}</p>
          <ul className="list-disc space-y-1 ps-5">
            {changes.map((call) => (
              <li key={call.call_id} dir="auto">
                {doneSummary(call).text}
              </li>
            ))}
          </ul>
          <p>{t.chat.again.twice}</p>
          <div className="flex flex-wrap justify-end gap-2">
            <Button ref={focusFirst} onClick={close}>
              {t.chat.again.leave}
            </Button>
            <Button
              kind="danger"
              onClick={() => {
                close();
                onAgain(run);
              }}
            >
              {t.chat.regenerate}
            </Button>
          </div>
        </div>
      </Dialog>
    ),
  };
}
