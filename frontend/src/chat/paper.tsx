import { createRoot } from 'react-dom/client';
import { flushSync } from 'react-dom';

import { path } from '../core/path';
import { StoreProvider } from '../core/react';
import type { Store } from '../core/state';
import { exactTime } from '../i18n/format';
import { t } from '../i18n/t';
import { Markdown } from '../markdown/Markdown';
import type { Call, Conversation, Run } from '../protocol/types';
import { callName, doneSummary } from '../tools/summaries';
import { failureOf, partsOf, receiptOf } from './answer';

const kinds = {
  markdown: { type: 'text/markdown', ending: 'md' },
  jsonl: { type: 'application/jsonl', ending: 'jsonl' },
} as const;

/** Saves all of the open conversation as a file. */
export async function exportAs(store: Store, format: keyof typeof kinds): Promise<void> {
  const open = store.getState().open;
  if (!open) return;
  let text: string;
  try {
    text = await store.actions.readText(['conversations', open.id, 'export'], { format });
  } catch (err) {
    store.actions.toast('error', err instanceof Error ? err.message : t.crash.missing);
    return;
  }
  const { type, ending } = kinds[format];
  const url = URL.createObjectURL(new Blob([text], { type }));
  const a = document.createElement('a');
  a.href = url;
  a.download = `${fileName(open.state.title ?? '') || open.id}.${ending}`;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** A title without what file systems do not like, and not too long for them. */
export function fileName(title: string): string {
  const plain = title.replace(/[\p{Cc}\p{Cf}\\/:*?"<>|]+/gu, ' ').replace(/\s+/g, ' ');
  return Array.from(plain)
    .slice(0, 60)
    .join('')
    .replace(/^[. ]+|[. ]+$/g, '');
}

/**
 * Prints all of the open conversation: what the screen shows may be a part of it,
 * because older messages come when somebody scrolls there, and long ones are folded.
 */
export async function print(store: Store): Promise<void> {
  const id = store.getState().open?.id;
  await store.actions.loadAll();
  const open = store.getState().open;
  if (!open || open.id !== id) return;
  const tip = new URLSearchParams(window.location.search).get('b') ?? undefined;
  const place = document.createElement('div');
  place.className = 'sheet-of-paper';
  document.body.append(place);
  const root = createRoot(place);
  flushSync(() =>
    root.render(
      <StoreProvider store={store}>
        <Thread conversation={open.state} tip={tip} />
      </StoreProvider>,
    ),
  );
  window.addEventListener(
    'afterprint',
    () => {
      root.unmount();
      place.remove();
    },
    { once: true },
  );
  window.print();
}

/** A conversation as it is read on paper. */
export function Thread({ conversation, tip }: { conversation: Conversation; tip: string | undefined }) {
  return (
    <main>
      <h1 dir="auto" className="text-h1 font-semibold">
        {conversation.title ?? t.sidebar.untitled}
      </h1>
      <p className="text-meta text-muted">{t.chat.printedOn(exactTime(new Date()))}</p>
      {path(conversation, tip).map((run) => (
        <Exchange key={run.run_id} run={run} />
      ))}
    </main>
  );
}

function Exchange({ run }: { run: Run }) {
  return (
    <section className="mt-6 space-y-3">
      <h2 className="text-meta font-semibold">
        {t.chat.you} <span className="font-normal text-muted">{exactTime(new Date(run.message.time))}</span>
      </h2>
      <p dir="auto" className="text-body break-words whitespace-pre-wrap">
        {run.message.text}
      </p>
      {run.status !== 'queued' && (
        <>
          <h2 className="text-meta font-semibold">{t.app.name}</h2>
          {partsOf(run, undefined).map((part) =>
            part.kind === 'text' ? (
              <Markdown key={part.key} text={part.text} growing={false} />
            ) : (
              <ul key={part.key} className="text-control">
                {part.calls.map((call) => (
                  <li key={call.call_id} dir="auto">
                    {said(call)}
                  </li>
                ))}
              </ul>
            ),
          )}
          {run.status === 'cancelled' && <p className="text-meta">{receiptOf(run)}</p>}
          {run.status === 'failed' && <p className="text-meta">{failureOf(run)}</p>}
        </>
      )}
    </section>
  );
}

/** What a call did, or how it ended, on one line. */
function said(call: Call): string {
  switch (call.status) {
    case 'done':
      return `✓ ${doneSummary(call).text}`;
    case 'denied':
      return `× ${callName(call)}: ${t.tools.denied}`;
    case 'stopped':
      return `– ${callName(call)}: ${t.tools.stopped}`;
    case 'failed':
      return `! ${callName(call)}: ${call.error?.message ?? t.tools.noReason}`;
    default:
      return `… ${callName(call)}`;
  }
}
