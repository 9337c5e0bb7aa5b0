import type {
  Call,
  Commit,
  Conversation,
  Event,
  MessageAccepted,
  Receipt,
  Run,
  Step,
  StepCompleted,
  ToolCalled,
  ToolReturned,
  Usage,
} from '../protocol/types';
import { activeRun, isOver } from './path';

/** How a commit stands to a state: the next one, one it has, one too far on, or somebody else's. */
export type Fit = 'next' | 'old' | 'gap' | 'foreign';

/** Bounds the answered calls that the home conversation remembers, as in Go. */
const handCallsKept = 100;

/** Go's zero time, which its JSON leaves out. */
const zeroTime = '0001-01-01T00:00:00Z';

/** Hand calls that have left the state; not part of its JSON. */
const answered = Symbol('answered');

interface Memory {
  [answered]?: ReadonlySet<string>;
}

/** The state before a conversation's first commit. */
export function emptyConversation(userId: string, conversationId: string): Conversation {
  return { user_id: userId, conversation_id: conversationId, n: 0, runs: [] };
}

export function fit(state: Conversation, commit: Commit): Fit {
  if (commit.user_id !== state.user_id || commit.conversation_id !== state.conversation_id) return 'foreign';
  if (commit.n <= state.n) return 'old';
  return commit.n === state.n + 1 ? 'next' : 'gap';
}

/**
 * Adds the next commit, as Go's events.Conversation does, to the same JSON. The
 * given state stays as it is, and what did not change keeps its identity.
 */
export function fold(state: Conversation, commit: Commit): Conversation {
  const how = fit(state, commit);
  if (how !== 'next') throw new RangeError(`commit ${commit.n} after ${state.n}: ${how}`);
  const w = new Folding(state);
  w.state.n = commit.n;
  if (commit.n === 1) set(w.state, 'created_at', commit.time);
  set(w.state, 'updated_at', commit.time);
  for (const e of commit.events) apply(w, e, commit);
  return w.state;
}

/** Adds older runs of the branch to a state that starts later. */
export function withOlder(state: Conversation, older: Conversation): Conversation {
  const next: Conversation = { ...state, runs: mergeRuns(state, older) };
  set(next, 'has_more', older.has_more);
  return next;
}

/** Adds runs that a state does not have, as those of other branches. */
export function withRunsOf(state: Conversation, other: Conversation): Conversation {
  const runs = mergeRuns(state, other);
  return runs.length === state.runs.length ? state : { ...state, runs };
}

function mergeRuns(state: Conversation, other: Conversation): Run[] {
  const known = new Set(state.runs.map((r) => r.run_id));
  return [...other.runs.filter((r) => !known.has(r.run_id)), ...state.runs].sort((a, b) => a.n - b.n);
}

/** Copies what is about to change, once per commit. */
class Folding {
  readonly state: Conversation & Memory;
  private readonly fresh = new Set<object>();

  constructor(from: Conversation) {
    this.state = { ...from };
  }

  private runs(): Run[] {
    if (!this.fresh.has(this.state.runs)) {
      this.state.runs = [...this.state.runs];
      this.fresh.add(this.state.runs);
    }
    return this.state.runs;
  }

  /** The run, free to change, or undefined. */
  run(id: string): Run | undefined {
    const i = this.state.runs.findLastIndex((r) => r.run_id === id);
    const run = this.state.runs[i];
    if (!run || this.fresh.has(run)) return run;
    const copy = { ...run };
    if (copy.steps) copy.steps = [...copy.steps];
    if (copy.calls) copy.calls = [...copy.calls];
    this.fresh.add(copy);
    this.runs()[i] = copy;
    return copy;
  }

  /** The run if it is the active one. */
  open(id: string): Run | undefined {
    return activeRun(this.state)?.run_id === id ? this.run(id) : undefined;
  }

  /** The run if it is not over yet. */
  unfinished(id: string): Run | undefined {
    const run = this.state.runs.findLast((r) => r.run_id === id);
    return run && !isOver(run.status) ? this.run(id) : undefined;
  }

  /** A call among those of a run or made by hand, free to change. */
  call(calls: Call[] | undefined, id: string): Call | undefined {
    const i = calls?.findIndex((c) => c.call_id === id) ?? -1;
    const call = calls?.[i];
    if (!calls || !call || this.fresh.has(call)) return call;
    const copy = { ...call };
    this.fresh.add(copy);
    calls[i] = copy;
    return copy;
  }

  /** The calls made by hand, free to change. */
  handCalls(): Call[] {
    const list = this.state.calls ?? [];
    if (this.fresh.has(list)) return list;
    const copy = [...list];
    this.fresh.add(copy);
    this.state.calls = copy;
    return copy;
  }

  add(run: Run): void {
    this.fresh.add(run);
    this.runs().push(run);
  }
}

/** Adds one event. One that does not fit the state changes nothing. */
function apply(w: Folding, e: Event, k: Commit): void {
  const c = w.state;
  switch (e.type) {
    case 'message.accepted':
      accept(w, e, k);
      return;
    case 'run.started': {
      if (activeRun(c)) return;
      const r = w.unfinished(e.run_id);
      if (r?.status !== 'queued') return;
      r.status = 'in_progress';
      set(r, 'model', e.model);
      set(r, 'deadline', e.deadline);
      set(r, 'started_at', k.time);
      settle(r);
      return;
    }
    case 'step.started': {
      const r = w.open(e.run_id);
      if (!r) return;
      if (e.step !== (r.step ?? 0)) delete r.interruptions;
      set(r, 'step', e.step);
      set(r, 'attempt', e.attempt);
      const { stream, sequence, delivery } = e.lease;
      if (stream === '' && sequence === 0 && delivery === 0) delete r.lease;
      else r.lease = { stream, sequence, delivery };
      r.streaming = true;
      settle(r);
      return;
    }
    case 'step.interrupted': {
      const r = w.open(e.run_id);
      const attempt = r?.attempt ?? 0;
      const n = r?.interruptions ?? 0;
      if (!r?.streaming || e.step !== (r.step ?? 0) || e.attempt !== attempt || n >= attempt) return;
      r.interruptions = n + 1;
      return;
    }
    case 'step.completed':
      completeStep(w, e);
      return;
    case 'tool.called':
      callTool(w, e, k);
      return;
    case 'approval.requested': {
      const r = w.open(e.run_id);
      if (!r) return;
      const call = w.call(r.calls, e.call_id);
      if (call?.status === 'waiting') {
        call.status = 'asking';
        set(call, 'expires_at', e.expires_at);
      }
      settle(r);
      return;
    }
    case 'approval.answered': {
      const r = w.open(e.run_id);
      if (!r) return;
      const call = w.call(r.calls, e.call_id);
      if (call?.status === 'asking') {
        call.status = 'waiting';
        if (e.arguments !== undefined) call.arguments = e.arguments;
      }
      if (e.deadline !== undefined && e.deadline !== zeroTime) r.deadline = e.deadline;
      settle(r);
      return;
    }
    case 'tool.returned':
      toolReturned(w, e, k);
      return;
    case 'run.cancel_requested': {
      const r = w.unfinished(e.run_id);
      if (!r || r.stop) return;
      r.stop = { by: e.by, why: e.why, n: k.n, at: k.time };
      settle(r);
      return;
    }
    case 'run.completed': {
      const r = w.unfinished(e.run_id);
      if (r) end(w, r, 'completed', k, e.usage);
      return;
    }
    case 'run.failed': {
      const r = w.unfinished(e.run_id);
      if (!r) return;
      r.error = { code: e.code, message: e.message };
      keep(r, e.receipt);
      end(w, r, 'failed', k, e.usage);
      return;
    }
    case 'run.cancelled': {
      const r = w.unfinished(e.run_id);
      if (!r) return;
      keep(r, e.receipt);
      end(w, r, 'cancelled', k, e.usage);
      return;
    }
    case 'conversation.renamed':
      if (e.by === 'user' || c.title_by !== 'user') {
        set(c, 'title', e.title);
        c.title_by = e.by;
      }
      return;
    case 'conversation.pinned':
      set(c, 'pinned', e.pinned);
      return;
    case 'conversation.archived':
      set(c, 'archived', e.archived);
      return;
    case 'conversation.read':
      set(c, 'read_n', Math.max(c.read_n ?? 0, Math.min(e.read_n, c.n)));
      return;
    case 'conversation.deleted':
      c.deleted = true;
      return;
    case 'conversation.restored':
      delete c.deleted;
      return;
    case 'message.rated': {
      const r = w.run(e.run_id);
      if (!r) return;
      if (e.rating === 'none') delete r.rating;
      else {
        r.rating = { rating: e.rating };
        set(r.rating, 'reason', e.reason);
      }
      return;
    }
    default:
      // Of a type that came later.
      c.skipped = (c.skipped ?? 0) + 1;
  }
}

function accept(w: Folding, e: MessageAccepted, k: Commit): void {
  if (w.state.runs.some((r) => r.run_id === e.run_id)) return;
  const run: Run = {
    run_id: e.run_id,
    n: k.n,
    message: { message_id: e.message_id, text: e.text, time: k.time },
    status: 'queued',
    usage: { input_tokens: 0, output_tokens: 0 },
  };
  set(run, 'parent_id', e.parent_id);
  set(run.message, 'model', e.model);
  set(run.message, 'timezone', e.timezone);
  set(run.message, 'regenerates', e.regenerates);
  w.add(run);
  delete w.state.archived;
}

function completeStep(w: Folding, e: StepCompleted): void {
  const r = w.open(e.run_id);
  if (!r?.streaming || e.step !== (r.step ?? 0) || e.attempt !== (r.attempt ?? 0)) return;
  delete r.streaming;
  const step: Step = { step: e.step, text: e.text, usage: usageOf(e.usage) };
  set(step, 'finish_reason', e.finish_reason);
  const asked = e.tool_calls ?? [];
  if (asked.length > 0) {
    step.calls = asked.map((t) => t.call_id);
    r.calls = [
      ...(r.calls ?? []),
      ...asked.map((t): Call => {
        const call: Call = {
          call_id: t.call_id,
          name: t.name,
          arguments: t.arguments,
          by: 'model',
          status: 'waiting',
        };
        set(call, 'step', e.step);
        return call;
      }),
    ];
  }
  r.steps = [...(r.steps ?? []), step];
  r.usage = usageOf({
    input_tokens: r.usage.input_tokens + e.usage.input_tokens,
    output_tokens: r.usage.output_tokens + e.usage.output_tokens,
    estimated: r.usage.estimated === true || e.usage.estimated === true,
  });
  settle(r);
}

function callTool(w: Folding, e: ToolCalled, k: Commit): void {
  if (!e.run_id) {
    const run = w.state.runs.find((r) => r.run_id === runOf(e.call_id));
    const calls = [...(w.state.calls ?? []), ...(run?.calls ?? [])];
    if (calls.some((c) => c.call_id === e.call_id) || w.state[answered]?.has(e.call_id)) return;
    const call: Call = {
      call_id: e.call_id,
      name: e.name,
      arguments: e.arguments,
      by: e.by,
      status: 'running',
    };
    set(call, 'server', e.server);
    set(call, 'deadline', e.deadline);
    set(call, 'called_at', k.time);
    w.handCalls().push(call);
    return;
  }
  const r = w.open(e.run_id);
  if (!r) return;
  const call = w.call(r.calls, e.call_id);
  if (call && (call.status === 'waiting' || call.status === 'asking')) {
    set(call, 'server', e.server);
    call.arguments = e.arguments;
    set(call, 'deadline', e.deadline);
    call.status = 'running';
    set(call, 'called_at', k.time);
  }
  settle(r);
}

function toolReturned(w: Folding, e: ToolReturned, k: Commit): void {
  if (w.state.calls?.some((c) => c.call_id === e.call_id)) {
    const calls = w.handCalls();
    const call = w.call(calls, e.call_id);
    if (!call || call.returned_at) return;
    answer(call, e, k.time);
    forget(w, calls);
    return;
  }
  const r = w.run(runOf(e.call_id));
  const call = r && w.call(r.calls, e.call_id);
  if (!call || call.returned_at) return;
  answer(call, e, k.time);
  settle(r);
}

/** Lets the oldest answered hand calls go. */
function forget(w: Folding, calls: Call[]): void {
  const gone: string[] = [];
  for (let i = 0; calls.length > handCallsKept && i < calls.length;) {
    const call = calls[i];
    if (call && isAnswered(call)) {
      gone.push(call.call_id);
      calls.splice(i, 1);
    } else i++;
  }
  if (gone.length > 0) w.state[answered] = new Set([...(w.state[answered] ?? []), ...gone]);
}

function answer(call: Call, e: ToolReturned, at: string): void {
  if (e.result === undefined) delete call.result;
  else call.result = e.result;
  if (e.error) call.error = { code: e.error.code, message: e.error.message };
  else delete call.error;
  set(call, 'duration_ms', e.duration_ms);
  set(call, 'truncated', e.truncated);
  set(call, 'late', e.late);
  set(call, 'returned_at', at);
  if (e.ok) call.status = 'done';
  else if (e.error?.code === 'denied') call.status = 'denied';
  else if (e.error && ['revoked', 'deadline', 'poison'].includes(e.error.code)) call.status = 'stopped';
  else call.status = 'failed';
}

function isAnswered(call: Call): boolean {
  return call.status === 'done' || call.status === 'failed' || call.status === 'denied' || call.status === 'stopped';
}

/** Derives a run's status from the rest; a run that waits or is over stays so. */
function settle(r: Run): void {
  if (isOver(r.status) || r.status === 'queued') return;
  const has = (s: Call['status']) => r.calls?.some((c) => c.status === s) === true;
  if (r.stop) r.status = 'cancelling';
  else if (!r.streaming && has('asking') && !has('running') && !has('waiting')) r.status = 'requires_action';
  else r.status = 'in_progress';
}

/** Makes a run terminal. Calls nobody answered will never run. */
function end(w: Folding, r: Run, status: Run['status'], k: Commit, usage: Usage): void {
  r.status = status;
  delete r.streaming;
  set(r, 'ended_at', k.time);
  r.ended_n = k.n;
  r.usage = usageOf(usage);
  for (const c of r.calls ?? []) {
    if (isAnswered(c)) continue;
    const call = w.call(r.calls, c.call_id);
    if (call) call.status = 'stopped';
  }
}

/** Keeps what a stopped run leaves. */
function keep(r: Run, receipt: Receipt): void {
  const rec: Receipt = {};
  set(rec, 'text', receipt.text);
  if (receipt.ran?.length) rec.ran = receipt.ran;
  if (receipt.not_run?.length) rec.not_run = receipt.not_run;
  // Go's JSON leaves out an object without members.
  if (Object.keys(rec).length > 0) r.receipt = rec;
  else delete r.receipt;
  if (rec.text) {
    const step: Step = { step: r.step ?? 0, text: rec.text, usage: usageOf(undefined), partial: true };
    r.steps = [...(r.steps ?? []), step];
  }
}

function usageOf(u: Usage | undefined): Usage {
  const usage: Usage = { input_tokens: u?.input_tokens ?? 0, output_tokens: u?.output_tokens ?? 0 };
  if (u?.estimated) usage.estimated = true;
  return usage;
}

/** The run that a call id names, or "". */
function runOf(callId: string): string {
  const parts = callId.split('-');
  return parts.length < 3 ? '' : parts.slice(0, -2).join('-');
}

/** Sets an optional member, or removes it where Go's JSON would leave it out. */
function set<T extends object, K extends keyof T>(o: T, key: K, value: T[K] | undefined): void {
  if (value === undefined || value === '' || value === 0 || value === false || value === zeroTime) {
    Reflect.deleteProperty(o, key);
  } else {
    o[key] = value;
  }
}
