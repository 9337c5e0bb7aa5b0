import { isOver } from '../core/path';
import type { LiveDraft } from '../core/state';
import { t } from '../i18n/t';
import type { Call, Conversation, Run, Task } from '../protocol/types';
import { and } from '../i18n/format';
import { callName, resultTask } from '../tools/summaries';

/** A piece of an answer in the order in which it came: words, or the calls of a step. */
export type Part =
  | { readonly kind: 'text'; readonly key: string; readonly text: string; readonly growing: boolean }
  | { readonly kind: 'calls'; readonly key: string; readonly calls: readonly Call[] };

/** The parts of an answer, what is being written included. */
export function partsOf(run: Run, draft: LiveDraft | undefined): Part[] {
  const parts: Part[] = [];
  const steps = run.steps ?? [];
  const calls = new Map((run.calls ?? []).map((call) => [call.call_id, call]));
  // Calls of steps without words between them stand in one row.
  const add = (key: string, own: readonly Call[]) => {
    const last = parts.at(-1);
    if (own.length === 0) return;
    if (last?.kind === 'calls') parts[parts.length - 1] = { ...last, calls: [...last.calls, ...own] };
    else parts.push({ kind: 'calls', key, calls: own });
  };
  for (const step of steps) {
    if (step.text.trim() !== '') {
      parts.push({ kind: 'text', key: `${step.step}`, text: step.text, growing: false });
    }
    const own = (step.calls ?? []).flatMap((id) => calls.get(id) ?? []);
    for (const call of own) calls.delete(call.call_id);
    add(`${step.step}.calls`, own);
  }
  // A call whose step is not here yet is shown all the same.
  add('more', [...calls.values()]);
  if (draft && draft.text.trim() !== '' && !isOver(run.status) && !steps.some((s) => s.step === draft.step)) {
    // The key is that of the step's text, so that it stays the same element when it is done.
    parts.push({ kind: 'text', key: `${draft.step}`, text: draft.text, growing: true });
  }
  return parts;
}

/** What an answer says, as markdown. */
export function textOf(run: Run): string {
  return (run.steps ?? [])
    .map((s) => s.text.trim())
    .filter((s) => s !== '')
    .join('\n\n');
}

/** The calls of an answer that changed something. Only looking is known not to; another server's tool may do anything. */
export function changesOf(run: Run): readonly Call[] {
  return (run.calls ?? []).filter((call) => call.status === 'done' && call.name !== 'list_tasks');
}

/** What the versions of a message have done, each with all that came after it. */
export interface Changes {
  readonly any: boolean;
  readonly tasks: readonly Pick<Task, 'task_id' | 'title'>[];
}

export function changesBelow(conversation: Conversation, versions: readonly Run[]): Changes {
  const inside = new Set(versions.map((r) => r.run_id));
  const tasks = new Map<number, string>();
  let any = false;
  for (const run of conversation.runs) {
    if (!inside.has(run.run_id) && !(run.parent_id && inside.has(run.parent_id))) continue;
    inside.add(run.run_id);
    for (const call of changesOf(run)) {
      any = true;
      const task = resultTask(call.result);
      if (task) tasks.set(task.task_id, task.title);
    }
  }
  return { any, tasks: [...tasks].map(([task_id, title]) => ({ task_id, title })) };
}

/** How a stopped run ended: "Stopped. add_task “Milk” did not run." */
export function receiptOf(run: Run): string {
  const byId = new Map((run.calls ?? []).map((call) => [call.call_id, call]));
  const notRun = (run.receipt?.not_run ?? []).map((id) => {
    const call = byId.get(id);
    return call ? callName(call) : id;
  });
  const early = run.status === 'cancelled' && run.started_at === undefined;
  const head = run.stop?.why === 'deadline' ? t.chat.outOfTime : early ? t.chat.stoppedEarly : t.chat.stopped;
  const rest = notRun.length > 0 ? ` ${t.chat.didNotRun(and(notRun), notRun.length)}` : '';
  const kept = (run.receipt?.ran ?? []).length > 0 ? ` ${t.chat.alreadyDone}` : '';
  return head + rest + kept;
}

/** Why a run failed, for people. */
export function failureOf(run: Run): string {
  const code = run.error?.code ?? '';
  const message = run.error?.message ?? '';
  if (message !== '') return message;
  return Object.hasOwn(t.chat.failures, code) ? (t.chat.failures[code] ?? t.chat.failed) : t.chat.failed;
}
