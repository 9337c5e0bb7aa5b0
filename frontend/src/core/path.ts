import type { Conversation, Run, Status } from '../protocol/types';

/** Whether a run has ended. */
export function isOver(status: Status): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

/** Whether a run has started and is not over. */
export function isActive(run: Run): boolean {
  return run.status !== 'queued' && !isOver(run.status);
}

/** The one run that has started and is not over. */
export function activeRun(conversation: Conversation): Run | undefined {
  return conversation.runs.findLast(isActive);
}

/** The runs from the root to tip, as far as they are here; without tip, those of the current branch. */
export function path(conversation: Conversation, tip?: string): Run[] {
  const byId = new Map(conversation.runs.map((r) => [r.run_id, r]));
  const found: Run[] = [];
  let run = tip === undefined ? conversation.runs.at(-1) : byId.get(tip);
  while (run) {
    found.push(run);
    const parent: Run | undefined = run.parent_id ? byId.get(run.parent_id) : undefined;
    // No message answers a later one: a log that says so must not make a circle.
    run = parent && parent.n < run.n ? parent : undefined;
  }
  return found.reverse();
}

/** The runs that stand in the same place as run, run among them, oldest first. */
export function siblings(conversation: Conversation, run: Run): Run[] {
  return conversation.runs.filter((r) => (r.parent_id ?? '') === (run.parent_id ?? ''));
}

/** The newest run below run, so that choosing a branch shows where it went last. */
export function tipOf(conversation: Conversation, run: Run): Run {
  const inside = new Set([run.run_id]);
  let tip = run;
  for (const r of conversation.runs) {
    if (r.n > run.n && r.parent_id && inside.has(r.parent_id)) {
      inside.add(r.run_id);
      tip = r;
    }
  }
  return tip;
}
