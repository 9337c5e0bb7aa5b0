import { CircleAlert, Undo2, X } from 'lucide-react';
import { useEffect, useRef } from 'react';

import { t } from '../i18n/t';
import { useAnnounce } from './announce';
import { Button, IconButton } from './Button';
import { cx } from './cx';
import { ErrorNote, type ShownError } from './ErrorNote';

export interface ToastView {
  id: string;
  kind: 'info' | 'error' | 'undo';
  text: string;
  error?: ShownError;
  action?: { label: string; run: () => void };
}

/** Short news at the bottom of the page. */
export function Toasts({ toasts, dismiss }: { toasts: readonly ToastView[]; dismiss: (id: string) => void }) {
  const announce = useAnnounce();
  const said = useRef<string>(undefined);
  const last = toasts.at(-1);

  useEffect(() => {
    // Errors are alerts and speak for themselves.
    if (last && last.kind !== 'error' && last.id !== said.current) announce(last.text);
    said.current = last?.id;
  }, [announce, last]);

  if (toasts.length === 0) return null;
  return (
    <section
      aria-label={t.app.notifications}
      className="no-print pointer-events-none fixed inset-x-0 bottom-0 z-40 flex flex-col items-center gap-2 px-4 pb-[calc(6.5rem+env(safe-area-inset-bottom))]"
    >
      {toasts.map((toast) => (
        <div
          key={toast.id}
          role={toast.kind === 'error' ? 'alert' : 'group'}
          aria-label={toast.text}
          className={cx(
            'appear pointer-events-auto flex max-w-full items-center gap-1 rounded-md border bg-bg py-1 ps-3 pe-1 text-control shadow-float',
            toast.kind === 'error' ? 'border-danger' : 'border-line',
          )}
        >
          {toast.kind === 'error' && <CircleAlert size={16} aria-hidden className="me-1 shrink-0 text-danger" />}
          <span className="max-w-[60ch] min-w-0 py-1 pe-2">
            {toast.error ? <ErrorNote error={toast.error} /> : toast.text}
          </span>
          {toast.action && (
            <Button
              kind="quiet"
              onClick={() => {
                toast.action?.run();
                dismiss(toast.id);
              }}
            >
              {toast.kind === 'undo' && <Undo2 size={16} aria-hidden />}
              {toast.action.label}
            </Button>
          )}
          <IconButton label={t.common.dismiss} onClick={() => dismiss(toast.id)}>
            <X size={16} aria-hidden />
          </IconButton>
        </div>
      ))}
    </section>
  );
}
