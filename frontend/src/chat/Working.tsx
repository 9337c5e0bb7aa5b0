import { t } from '../i18n/t';
import type { Run } from '../protocol/types';
import { useNow } from '../ui/useNow';

/** After how many seconds the line says what it waits for. */
const long = 20;

/** Stands where the next words will be. */
export function Working({ run, stopping }: { run: Run; stopping: boolean }) {
  const now = useNow(1000);
  const since = Date.parse(run.started_at ?? run.message.time);
  const seconds = Math.max(0, Math.floor((now - since) / 1000));
  const tool = run.calls?.find((call) => call.status === 'running' || call.status === 'waiting');
  const asks = run.status === 'requires_action';
  const waits = tool ? t.chat.waitingTool(tool.name) : t.chat.waitingModel;
  return (
    <p className="flex items-center gap-2.5 text-meta text-muted">
      <span aria-hidden="true" className="dot breathe size-2 rounded-full bg-accent" />
      {stopping ? t.chat.stopping : asks ? t.chat.waitingYou : seconds >= long ? waits : t.chat.working}
      {seconds > 0 && !asks && <span className="tabular">{t.chat.seconds(seconds)}</span>}
    </p>
  );
}
