import type { Commit, Conversation, Event, Task, TaskChange } from '../protocol/types';
import { emptyConversation, fit, fold } from './fold';
import type { TasksState } from './state';
import { rowsOf, withRows } from './tasks';

/** What an entry is about, for icons, filters and jumps. */
export type Kind = 'user' | 'assistant' | 'tool' | 'error' | 'elsewhere' | 'other';

export type Actor = 'user' | 'model' | 'tool' | 'system';

/** One line of the history: an event of a commit, or a task that was changed from elsewhere. */
export interface Entry {
  key: string;
  /** The first instant that shows it. */
  n: number;
  time: string;
  type: string;
  kind: Kind;
  actor: Actor;
  durationMs?: number;
  event?: Event;
  commit?: Commit;
  change?: TaskChange;
  /** What was called, of the events that only have its id. */
  call?: { name: string; arguments: unknown };
}

/** How a task came to be as an instant shows it. */
export interface Touched {
  task: Task;
  tool: string;
}

/** From so many commits on, states are kept to go on from. */
const spacing = 50;
/** States that were looked at last. */
const remembered = 200;
/** The same of task lists, which are looked at one after the other. */
const lists = 4;

/**
 * The history of one conversation, from which every instant can be drawn again:
 * instant n is what a reader had on screen once commit n had come. Both the chat
 * and the tasks come from the functions that follow the live conversation.
 */
export class Recording {
  readonly commits: Commit[] = [];
  private readonly marks = new Map<number, Conversation>();
  private readonly recent = new Map<number, Conversation>();
  private last: Conversation;
  private base: readonly Task[] = [];
  readonly changes: TaskChange[] = [];
  /** Of the commits, in ms since the epoch, none before the one before it: clocks differ. */
  private readonly times: number[] = [];
  /** The commit that brought each call's answer. */
  private readonly answeredAt = new Map<string, number>();
  private readonly since = new Map<string, number>();
  private readonly calls = new Map<string, { name: string; arguments: unknown }>();
  private readonly own: Entry[] = [];
  private merged: readonly Entry[] | undefined;
  private placed: readonly { n: number; change: TaskChange }[] | undefined;
  private readonly tasks = new Map<number, TasksState>();

  constructor(userId: string, conversationId: string) {
    this.last = emptyConversation(userId, conversationId);
    this.marks.set(0, this.last);
  }

  /** The number of commits, and the last instant. */
  get n(): number {
    return this.last.n;
  }

  /** Adds the next commit; any other changes nothing. */
  add(c: Commit): void {
    if (fit(this.last, c) !== 'next') return;
    this.last = fold(this.last, c);
    this.commits.push(c);
    const before = this.times.at(-1) ?? -Infinity;
    const at = Date.parse(c.time);
    this.times.push(at > before ? at : before);
    if (c.n % spacing === 0) this.marks.set(c.n, this.last);
    for (const [i, e] of c.events.entries()) {
      this.own.push(this.entryOf(c, e, i));
      if (e.type === 'tool.returned' && !this.answeredAt.has(e.call_id)) this.answeredAt.set(e.call_id, c.n);
    }
    this.changed();
  }

  /** The tasks before the first commit. */
  setBase(tasks: readonly Task[]): void {
    this.base = tasks;
    this.changed();
  }

  /** Changes of tasks by whomever, in order. */
  addChanges(changes: readonly TaskChange[]): void {
    const newest = this.changes.at(-1)?.task_rev ?? 0;
    this.changes.push(...changes.filter((c) => c.task_rev > newest));
    this.changed();
  }

  /** When an instant was, in ms since the epoch. */
  timeOf(n: number): number {
    return this.times[n - 1] ?? NaN;
  }

  /** The conversation after commit n. */
  chatAt(n: number): Conversation {
    const wanted = Math.max(0, Math.min(n, this.n));
    if (wanted === this.n) return this.last;
    let state = this.recent.get(wanted);
    if (!state) {
      const before = this.recent.get(wanted - 1);
      state = before ?? this.marks.get(wanted - (wanted % spacing)) ?? this.last;
      for (const c of this.commits.slice(state.n, wanted)) state = fold(state, c);
    }
    this.recent.delete(wanted);
    this.recent.set(wanted, state);
    for (const old of this.recent.keys()) {
      if (this.recent.size <= remembered) break;
      this.recent.delete(old);
    }
    return state;
  }

  /** The tasks when commit n had come: what this conversation did, and by the clock what was done elsewhere. */
  tasksAt(n: number): TasksState {
    const wanted = Math.max(0, Math.min(n, this.n));
    const known = this.tasks.get(wanted);
    if (known) return known;
    const from = Math.max(0, ...[...this.tasks.keys()].filter((k) => k < wanted));
    let tasks = this.tasks.get(from) ?? withRows(noTasks, this.base);
    for (const c of this.commits.slice(from, wanted)) tasks = withRows(tasks, rowsOf(c));
    const rows = this.places().filter((p) => p.n > from && p.n <= wanted);
    tasks = withRows(
      tasks,
      rows.map((p) => p.change.task),
    );
    this.tasks.set(wanted, tasks);
    for (const old of this.tasks.keys()) {
      if (this.tasks.size <= lists) break;
      this.tasks.delete(old);
    }
    return tasks;
  }

  /** The tasks that instant n shows differently than the one before, by number. */
  touchedAt(n: number): ReadonlyMap<number, Touched> {
    const touched = new Map<number, Touched>();
    const before = this.tasksAt(n - 1).byId;
    const commit = this.commits[n - 1];
    for (const e of commit?.events ?? []) {
      if (e.type !== 'tool.returned' || !e.ok || !commit) continue;
      for (const task of rowsOf({ ...commit, events: [e] })) {
        // Completing what is completed changes nothing: the row is an older one.
        if (before[task.task_id]?.task_rev === task.task_rev) continue;
        touched.set(task.task_id, { task, tool: this.calls.get(e.call_id)?.name ?? '' });
      }
    }
    for (const { n: at, change: c } of this.places()) {
      if (at === n) touched.set(c.task.task_id, { task: c.task, tool: c.tool });
    }
    return touched;
  }

  /** Everything that happened, in order. What was done elsewhere stands before the commit that came after it. */
  entries(): readonly Entry[] {
    if (this.merged) return this.merged;
    const elsewhere = this.places()
      .filter((p) => p.n <= this.n && p.change.conversation_id !== this.last.conversation_id)
      .map(({ n, change: c }): Entry => ({
        key: `rev ${c.task_rev}`,
        n,
        time: c.at,
        type: 'task.changed',
        kind: 'elsewhere',
        actor: c.by === 'user' ? 'user' : 'model',
        change: c,
      }));
    if (elsewhere.length === 0) {
      this.merged = this.own;
      return this.own;
    }
    const all: Entry[] = [];
    let i = 0;
    for (const e of this.own) {
      for (let c = elsewhere[i]; c && c.n <= e.n; c = elsewhere[++i]) all.push(c);
      all.push(e);
    }
    this.merged = [...all, ...elsewhere.slice(i)];
    return this.merged;
  }

  /** The kind that says most about each instant, from the first. */
  kinds(): readonly Kind[] {
    const all: Kind[] = this.commits.map(() => 'other');
    for (const e of this.own) {
      const now = all[e.n - 1];
      if (now === undefined || rank[e.kind] > rank[now]) all[e.n - 1] = e.kind;
    }
    return all;
  }

  /** The changes with the first instant that shows them. */
  private places(): readonly { n: number; change: TaskChange }[] {
    this.placed ??= this.changes.map((change) => ({ n: this.instantOf(change), change })).sort((a, b) => a.n - b.n);
    return this.placed;
  }

  private instantOf(c: TaskChange): number {
    const own = this.answeredAt.get(c.call_id);
    if (own !== undefined) return own;
    const at = Date.parse(c.at);
    let low = 1;
    let high = this.n + 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.timeOf(middle) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private entryOf(c: Commit, e: Event, index: number): Entry {
    const entry: Entry = {
      key: `${c.n}.${index}`,
      n: c.n,
      time: c.time,
      type: e.type,
      kind: kindOf(e),
      actor: actorOf(c, e),
      event: e,
      commit: c,
    };
    const begun = (name: string) => void this.since.set(name, Date.parse(c.time));
    const lasted = (name: string) => {
      const from = this.since.get(name);
      if (from !== undefined) entry.durationMs = Math.max(0, Date.parse(c.time) - from);
    };
    switch (e.type) {
      case 'run.started':
        begun(e.run_id);
        break;
      case 'run.completed':
      case 'run.failed':
      case 'run.cancelled':
        lasted(e.run_id);
        break;
      case 'step.started':
        begun(`${e.run_id} ${e.step} ${e.attempt}`);
        break;
      case 'step.completed':
        for (const t of e.tool_calls ?? []) this.calls.set(t.call_id, { name: t.name, arguments: t.arguments });
        lasted(`${e.run_id} ${e.step} ${e.attempt}`);
        break;
      case 'tool.called':
        this.calls.set(e.call_id, { name: e.name, arguments: e.arguments });
        break;
      case 'tool.returned':
        // The log leaves out a zero.
        entry.durationMs = e.duration_ms;
        break;
      case 'approval.requested':
        begun(`ask ${e.call_id}`);
        break;
      case 'approval.answered':
        lasted(`ask ${e.call_id}`);
        break;
      default:
    }
    const call = 'call_id' in e ? this.calls.get(e.call_id) : undefined;
    if (call) entry.call = call;
    return entry;
  }

  private changed(): void {
    this.merged = undefined;
    this.placed = undefined;
    this.tasks.clear();
  }
}

const noTasks: TasksState = { byId: {}, status: 'ready', rev: 0, changed: {} };

const rank: Readonly<Record<Kind, number>> = { error: 5, tool: 4, user: 3, assistant: 2, elsewhere: 1, other: 0 };

function kindOf(e: Event): Kind {
  switch (e.type) {
    case 'message.accepted':
      return 'user';
    case 'step.completed':
      return e.text.trim() === '' ? 'other' : 'assistant';
    case 'tool.returned':
      // Denied and stopped calls did what they were told.
      return e.ok || quiet.has(e.error?.code ?? '') ? 'tool' : 'error';
    case 'tool.called':
    case 'approval.requested':
    case 'approval.answered':
      return 'tool';
    case 'run.failed':
      return 'error';
    default:
      return 'other';
  }
}

const quiet = new Set(['denied', 'revoked', 'deadline', 'poison']);

function actorOf(c: Commit, e: Event): Actor {
  switch (e.type) {
    case 'step.completed':
      return 'model';
    case 'tool.returned':
      return 'tool';
    case 'message.accepted':
      return 'user';
    default:
      return 'by' in e ? e.by : e.type.startsWith('conversation.') || e.type === 'message.rated' ? c.by : 'system';
  }
}

/** The next instant after n, or before it, that has a tool call or an error. */
export function nextCall(kinds: readonly Kind[], n: number, by: 1 | -1): number | undefined {
  for (let i = n + by; i >= 1 && i <= kinds.length; i += by) {
    const kind = kinds[i - 1];
    if (kind === 'tool' || kind === 'error') return i;
  }
  return undefined;
}

export const speeds = [1, 2, 4, 'max'] as const;
export type Speed = (typeof speeds)[number];

/** How long an instant stays at least and at most, in ms at speed 1. */
const shortest = 300;
const longest = 2000;

/** How long to stay at an instant: as long as it lasted, but nobody waits for hours or misses what is too quick. */
export function stay(from: number, to: number, speed: Speed): number {
  if (speed === 'max') return 0;
  const real = Number.isNaN(to - from) ? 0 : to - from;
  return Math.min(longest, Math.max(shortest, real)) / speed;
}
