import type { Entry } from '../core/recording';
import { and } from '../i18n/format';
import { r } from '../i18n/replay';
import { t } from '../i18n/t';
import type { Call } from '../protocol/types';
import { callName, doneSummary, failedSummary } from '../tools/summaries';

/** More than a line of the list ever shows. */
const shown = 160;

function cut(s: string): string {
  const line = s.replace(/\s+/g, ' ').trim();
  return line.length > shown ? `${line.slice(0, shown - 1)}…` : line;
}

/** A call as far as an entry tells of it. */
function callOf(entry: Entry, more: Partial<Call> = {}): Call {
  const name = entry.call?.name ?? '';
  return { call_id: '', name, arguments: entry.call?.arguments ?? {}, by: 'model', status: 'done', ...more };
}

/** What happened, in one line. */
export function what(entry: Entry): string {
  const { event: e, change } = entry;
  if (change) {
    return doneSummary(callOf(entry, { name: change.tool, result: { task: change.task } })).text;
  }
  switch (e?.type) {
    case 'message.accepted':
      return `“${cut(e.text)}”`;
    case 'run.started':
      return r.what.runStarted;
    case 'step.started':
      return r.what.stepStarted(e.attempt);
    case 'step.completed': {
      const names = (e.tool_calls ?? []).map((c) => c.name);
      if (e.text.trim() !== '') return cut(e.text);
      return names.length > 0 ? r.what.stepAsked(and(names)) : r.what.stepEmpty;
    }
    case 'step.interrupted':
      return r.what.stepInterrupted;
    case 'tool.called':
      return r.what.called(callName(callOf(entry)));
    case 'tool.returned': {
      if (e.ok) {
        const call = callOf(entry, { result: e.result });
        return call.name === '' ? r.what.result(e.call_id) : doneSummary(call).text;
      }
      return `${failedSummary(callOf(entry))}: ${e.error?.message ?? t.tools.noReason}`;
    }
    case 'approval.requested':
      return r.what.approvalRequested(callName(callOf(entry)));
    case 'approval.answered':
      return r.what.approval[e.decision] ?? e.decision;
    case 'run.cancel_requested':
      return r.what.cancelRequested[e.why];
    case 'run.completed':
      return r.what.runCompleted;
    case 'run.failed':
      return r.what.runFailed(cut(e.message === '' ? e.code : e.message));
    case 'run.cancelled':
      return r.what.runCancelled;
    case 'conversation.renamed':
      return r.what.renamed(cut(e.title));
    case 'conversation.pinned':
      return e.pinned ? r.what.pinned : r.what.unpinned;
    case 'conversation.archived':
      return e.archived ? r.what.archived : r.what.unarchived;
    case 'conversation.read':
      return r.what.read(e.read_n);
    case 'conversation.deleted':
      return r.what.deleted;
    case 'conversation.restored':
      return r.what.restored;
    case 'message.rated':
      return r.what.rated[e.rating];
    default:
      // Of a type that came later.
      return entry.type;
  }
}

/** Where a change was made that is none of this conversation's. */
export function where(entry: Entry): string | undefined {
  if (!entry.change) return undefined;
  return entry.change.by === 'user' ? r.events.byHand : r.events.otherConversation;
}
