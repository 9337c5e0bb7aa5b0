import { useState } from 'react';

import { t } from '../i18n/t';
import type { Run } from '../protocol/types';
import { useNow } from '../ui/useNow';

/** After how many seconds the line says what it waits for. */
const long = 20;

/** After how many seconds without another word a text counts as stuck. */
const stuck = 5;

interface Props {
  run: Run;
  connected: boolean;
  stopping: boolean;
}

/** Stands where the next words will be. */
export function Working({ run, connected, stopping }: Props) {
  const now = useNow(1000);
  const seconds = Math.max(0, Math.floor((now - waitingSince(run)) / 1000));
  // A person may take their time.
  if (run.status === 'requires_action' && !stopping) return <Line seconds={0}>{t.chat.waitingYou}</Line>;
  return (
    <Line seconds={seconds}>
      {stopping ? t.chat.stopping : seconds >= long || !connected ? waitsFor(run, connected) : t.chat.working}
    </Line>
  );
}

/** Stands below words that have stopped coming, as when the worker that wrote them has died. */
export function Stuck({ run, connected, text }: { run: Run; connected: boolean; text: string }) {
  const now = useNow(1000);
  const [last, setLast] = useState({ text, at: now });
  if (last.text !== text) setLast({ text, at: now });
  const seconds = Math.floor((now - last.at) / 1000);
  return seconds >= stuck ? <Line seconds={seconds}>{waitsFor(run, connected)}</Line> : null;
}

/** The last thing that is known to have happened in a run. */
function waitingSince(run: Run): number {
  const times = [run.started_at ?? run.message.time, ...(run.calls ?? []).flatMap((c) => [c.called_at, c.returned_at])];
  return Math.max(...times.flatMap((at) => (at === undefined ? [] : Date.parse(at))));
}

function waitsFor(run: Run, connected: boolean): string {
  if (!connected) return t.chat.waitingConnection;
  const tool = run.calls?.find((call) => call.status === 'running' || call.status === 'waiting');
  return tool ? t.chat.waitingTool(tool.name) : t.chat.waitingModel;
}

function Line({ seconds, children }: { seconds: number; children: string }) {
  return (
    <p className="flex items-center gap-2.5 text-meta text-muted">
      <span aria-hidden="true" className="dot breathe size-2 rounded-full bg-accent" />
      {children}
      {seconds > 0 && <span className="tabular">{t.chat.seconds(seconds)}</span>}
    </p>
  );
}
