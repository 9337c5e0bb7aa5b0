import { emptyConversation, fold } from '../../src/core/fold';
import { activeRun, path } from '../../src/core/path';
import type { Api, Deps, SocketEvents } from '../../src/core/ports';
import type {
  ClientFrame,
  Commit,
  CommitPage,
  Conversation,
  Event,
  JSONValue,
  Query,
  ServerFrame,
  Summary,
  Task,
  TaskChange,
  TaskChanges,
  TaskPage,
} from '../../src/protocol/types';
import { utf8Length } from '../../src/core/stream';

interface Connection {
  events: SocketEvents;
  up: boolean;
  /** The n up to which each followed conversation has been sent. */
  watches: Map<string, number>;
}

interface Piece {
  run_id: string;
  step: number;
  attempt: number;
  text: string;
}

const usage = { input_tokens: 1, output_tokens: 1 };

/**
 * A Parley in memory with one person: it keeps logs, folds them, and speaks the
 * WebSocket's frames. It does at once what it is told, and drops connections on demand.
 */
export class Server {
  user = 'ada';
  readonly logs = new Map<string, Commit[]>();
  readonly drafts = new Map<string, Piece>();
  readonly received: ClientFrame[] = [];
  readonly rows = new Map<number, Task>();
  readonly changes: TaskChange[] = [];
  readonly requests: string[] = [];
  /** Answers a frame instead of the server. */
  intercept: ((f: ClientFrame) => ServerFrame | 'silence' | undefined) | undefined;
  /** Makes the HTTP calls fail. */
  outage: Error | undefined;
  version = 'v1';
  private readonly stored = new Map<string, string>();
  private readonly connections = new Set<Connection>();
  private rev = 0;
  private seconds = 0;
  private reachable = true;

  readonly api: Api = {
    config: () =>
      this.answer('config', () => ({
        server_version: this.version,
        auth: { mode: 'dev' as const },
        model: { name: 'demo', label: 'Demo', demo: true },
        limits: { message_chars: 8000 },
      })),
    conversations: () =>
      this.answer('conversations', () => ({
        data: [...this.logs.keys()].map((id) => this.summary(id)).filter((s) => s.archived !== true),
        has_more: false,
      })),
    messages: (_, id, q) =>
      this.answer(`messages ${id} ${q?.before ?? ''}`.trim(), () => {
        const state = this.state(id);
        if (state.n === 0) throw Object.assign(new Error('No such conversation.'), { code: 'not_found' });
        let runs = path(state);
        if (q?.before !== undefined)
          runs = runs.slice(
            0,
            runs.findIndex((r) => r.run_id === q.before),
          );
        const shown = runs.slice(-(q?.limit ?? 3));
        return { ...state, runs: shown, ...(shown.length < runs.length && { has_more: true }) };
      }),
    events: (_, id, after) => this.answer(`events ${id}`, () => this.commits(id, after)),
    read: (decode, _, path, query) => this.answer(path.join(' '), () => decode(this.below(path, query ?? {}))),
    readText: (_, path) => this.answer(path.join(' '), () => 'text'),
    tasks: (_, q) => this.answer('tasks', () => this.tasks(this.rev, q.after ?? '')),
    taskHistory: () => this.answer('history', () => ({ data: [], has_more: false })),
  };

  readonly connect: Deps['connect'] = (_, events) => {
    const c: Connection = { events, up: false, watches: new Map() };
    this.connections.add(c);
    events.connection({ status: 'connecting', since: 0 });
    void Promise.resolve().then(() => this.reachable && this.raise(c));
    return {
      send: (f) => {
        if (!c.up) return false;
        this.received.push(f);
        void Promise.resolve().then(() => c.up && this.handle(c, f));
        return true;
      },
      reconnectNow: () => {
        this.lower(c);
        this.raise(c);
      },
      close: () => {
        c.up = false;
        this.connections.delete(c);
      },
    };
  };

  /** Ends all connections; what is not acknowledged never will be on them. */
  drop(): void {
    this.reachable = false;
    for (const c of this.connections) this.lower(c);
  }

  restore(): void {
    this.reachable = true;
    for (const c of this.connections) this.raise(c);
  }

  refuse(code: number): void {
    for (const c of [...this.connections]) {
      c.up = false;
      c.events.refused(code);
    }
  }

  state(id: string): Conversation {
    return (this.logs.get(id) ?? []).reduce(fold, emptyConversation(this.user, id));
  }

  append(id: string, ...events: Event[]): Commit {
    const log = this.logs.get(id) ?? [];
    const commit: Commit = {
      v: 1,
      conversation_id: id,
      user_id: this.user,
      n: log.length + 1,
      commit_id: `${id}:${log.length + 1}`,
      cause: 'test',
      by: 'user',
      time: this.now(),
      events,
    };
    this.push(id, commit);
    return commit;
  }

  /** The server's clock: it ticks with everything that is done. */
  now(): string {
    return new Date(Date.UTC(2026, 2, 14, 9, 0, ++this.seconds)).toISOString();
  }

  /** Adds a commit of somebody's making. */
  push(id: string, commit: Commit): void {
    this.logs.set(id, [...(this.logs.get(id) ?? []), commit]);
    for (const c of this.connections) {
      if (c.watches.get(id) === commit.n - 1) this.sendCommit(c, commit);
      const { conversation_id, title, n, status, updated_at, archived, deleted } = this.summary(id);
      this.send(c, {
        type: 'conversation',
        conversation_id,
        title,
        n,
        status,
        updated_at,
        ...(archived && { archived }),
        deleted: deleted === true,
      });
    }
  }

  /** A message and the beginning of its answer. Returns the run. */
  ask(id: string, text: string, message = `m-${id}-${(this.logs.get(id)?.length ?? 0) + 1}`, parent?: string): string {
    const state = this.state(id);
    const run = `run-${message}`;
    const parentId = parent === 'root' ? undefined : (parent ?? state.runs.at(-1)?.run_id);
    this.stored.set(message, id);
    const accepted: Event = {
      type: 'message.accepted',
      message_id: message,
      run_id: run,
      text,
      ...(parentId !== undefined && { parent_id: parentId }),
    };
    if (activeRun(state)) this.append(id, accepted);
    else this.append(id, accepted, ...this.starting(run, message));
    return run;
  }

  /** More text of the answer that is being written. lost: nobody gets it as a delta. */
  write(id: string, text: string, lost = false): void {
    const run = activeRun(this.state(id));
    if (!run) throw new Error(`nothing is being written in ${id}`);
    const d = this.drafts.get(id) ?? { run_id: run.run_id, step: run.step ?? 0, attempt: run.attempt ?? 0, text: '' };
    const offset = utf8Length(d.text);
    this.drafts.set(id, { ...d, text: d.text + text });
    if (lost) return;
    for (const c of this.connections) {
      if (c.watches.has(id)) this.send(c, { type: 'delta', conversation_id: id, ...d, offset, text });
    }
  }

  /** Ends the step that is being written, with calls of tools or without. */
  completeStep(id: string, ...calls: (string | { name: string; arguments: JSONValue })[]): Commit {
    const run = activeRun(this.state(id))!;
    const { step = 1, attempt = 1, run_id } = run;
    const text = this.drafts.get(id)?.text ?? '';
    this.drafts.delete(id);
    return this.append(id, {
      type: 'step.completed',
      run_id,
      step,
      attempt,
      text,
      usage,
      finish_reason: 'stop',
      tool_calls: calls.map((call, i) => ({
        call_id: `${run_id}-${step}-${i}`,
        ...(typeof call === 'string' ? { name: call, arguments: {} } : call),
      })),
    });
  }

  /** Ends the run, and starts the next that waits. */
  finish(id: string): void {
    const run = activeRun(this.state(id))!;
    this.completeStep(id);
    this.append(id, { type: 'run.completed', run_id: run.run_id, usage });
    const next = this.state(id).runs.find((r) => r.status === 'queued');
    if (next) this.append(id, ...this.starting(next.run_id, next.message.message_id));
  }

  /** Writes a task, as a call of the conversation or one made by hand. */
  task(title: string, more: Partial<Task> = {}, made: Partial<TaskChange> = {}): Task {
    const at = '2026-03-14T09:00:00.000Z';
    const row: Task = {
      task_id: this.rows.size + 1,
      title,
      description: '',
      due_on: null,
      status: 'open',
      deleted: false,
      created_at: at,
      updated_at: at,
      completed_at: null,
      ...more,
      task_rev: ++this.rev,
    };
    this.rows.set(row.task_id, row);
    const change = { tool: 'add_task', by: 'user', call_id: `hand-${row.task_rev}`, conversation_id: 'home', at };
    this.changes.push({ ...change, ...made, task_rev: row.task_rev, task: row });
    return row;
  }

  /** Asks whether the calls of the newest step may happen. */
  request(id: string): void {
    const run = activeRun(this.state(id))!;
    const asked = (run.calls ?? []).filter((call) => call.status === 'waiting');
    this.append(
      id,
      ...asked.map(({ call_id }): Event => ({
        type: 'approval.requested',
        call_id,
        run_id: run.run_id,
        expires_at: '2026-03-15T09:00:00Z',
      })),
    );
  }

  /** Sends a frame to every connection. */
  tell(f: ServerFrame): void {
    for (const c of this.connections) this.send(c, f);
  }

  break(): void {
    for (const c of this.connections) c.events.malformed();
  }

  /** What is sent instead of a frame that the page cannot read: nothing but the news of it. */
  unreadable: ((f: ServerFrame) => boolean) | undefined;

  sent<T extends ClientFrame['type']>(type: T): Extract<ClientFrame, { type: T }>[] {
    return this.received.filter((f): f is Extract<ClientFrame, { type: T }> => f.type === type);
  }

  private commits(id: string, after: number): CommitPage {
    const rest = (this.logs.get(id) ?? []).slice(after);
    return { data: rest.slice(0, 5), has_more: rest.length > 5, after: after + Math.min(5, rest.length) };
  }

  private tasks(rev: number, after: string): TaskPage {
    const rows = new Map<number, Task>();
    for (const c of this.changes) if (c.task_rev <= rev) rows.set(c.task.task_id, c.task);
    const all = [...rows.values()].filter((t) => !t.deleted && t.task_id > Number(after));
    const data = all.slice(0, 3);
    const more = data.length < all.length;
    return { data, has_more: more, ...(more && { after: String(data.at(-1)!.task_id) }), task_rev: rev };
  }

  private changesFrom(q: Query): TaskChanges {
    const { since, after } = q;
    const older = this.changes.findLast((c) => since !== undefined && c.at < since);
    const before = Math.max(Number(after ?? 0), older?.task_rev ?? 0);
    const rest = this.changes.filter((c) => c.task_rev > before);
    const data = rest.slice(0, 4);
    return { data, has_more: data.length < rest.length, after: data.at(-1)?.task_rev ?? before };
  }

  /** What is read by its address. */
  private below(path: readonly string[], q: Query): unknown {
    const [first, second = '', third] = path;
    if (first === 'conversations' && third === 'events') return this.commits(second, Number(q.after));
    if (first === 'tasks' && second === 'history') return this.changesFrom(q);
    if (first === 'tasks') return this.tasks(Number(q.as_of), String(q.after ?? ''));
    return {};
  }

  private starting(run_id: string, message_id: string): Event[] {
    return [
      { type: 'run.started', run_id, message_id, model: 'demo', deadline: '2026-03-14T10:00:00Z' },
      {
        type: 'step.started',
        run_id,
        step: 1,
        attempt: 1,
        lease: { stream: 'INBOX', sequence: 1, delivery: 1 },
        worker: 'w',
      },
    ];
  }

  private async answer<T>(what: string, f: () => T): Promise<T> {
    this.requests.push(what);
    await Promise.resolve();
    if (this.outage) throw this.outage;
    return f();
  }

  private summary(id: string): Summary {
    const s = this.state(id);
    return {
      conversation_id: id,
      title: s.title ?? '',
      read_n: s.read_n ?? 0,
      n: s.n,
      status: activeRun(s)?.status ?? 'idle',
      created_at: s.created_at ?? '',
      updated_at: s.updated_at ?? '',
      archived: s.archived === true,
      deleted: s.deleted === true,
    };
  }

  private lower(c: Connection): void {
    if (!c.up) return;
    c.up = false;
    c.watches.clear();
    c.events.connection({ status: 'offline', since: 0, retryAt: 1 });
  }

  private raise(c: Connection): void {
    if (!this.connections.has(c) || c.up) return;
    c.up = true;
    c.watches.clear();
    c.events.connection({ status: 'online', since: 0 });
    this.send(c, {
      type: 'connected',
      user_id: this.user,
      model: { name: 'demo', label: 'Demo', demo: true },
      limits: { message_chars: 8000 },
      server_version: this.version,
      expires_at: '2026-03-14T10:00:00Z',
    });
  }

  private send(c: Connection, f: ServerFrame): void {
    if (!c.up) return;
    if (this.unreadable?.(f)) c.events.malformed();
    else c.events.frame(f);
  }

  private sendCommit(c: Connection, commit: Commit): void {
    c.watches.set(commit.conversation_id, commit.n);
    this.send(c, { type: 'commit', conversation_id: commit.conversation_id, n: commit.n, commit });
  }

  private watch(c: Connection, id: string, after: number): void {
    const log = this.logs.get(id);
    if (!log || after > log.length) {
      const code = log ? 'conflict' : 'not_found';
      this.send(c, { type: 'error', conversation_id: id, code, message: 'No.' });
      return;
    }
    c.watches.set(id, after);
    for (const commit of log.slice(after)) this.sendCommit(c, commit);
    this.send(c, { type: 'live', conversation_id: id, n: log.length });
    const d = this.drafts.get(id);
    if (d) this.send(c, { type: 'snapshot', conversation_id: id, ...d });
  }

  private handle(c: Connection, f: ClientFrame): void {
    const instead = this.intercept?.(f);
    if (instead === 'silence') return;
    if (instead) {
      this.send(c, instead);
      return;
    }
    switch (f.type) {
      case 'subscribe':
        this.watch(c, f.conversation_id, f.after);
        return;
      case 'unsubscribe':
        c.watches.delete(f.conversation_id);
        return;
      case 'message': {
        const known = this.stored.get(f.id);
        const id = known ?? f.conversation_id ?? `c-${f.id}`;
        const n = this.logs.get(id)?.length ?? 0;
        if (known === undefined) this.ask(id, f.message, f.id, f.parent_id);
        this.send(c, { type: 'accepted', id: f.id, conversation_id: id, run_id: `run-${f.id}` });
        if (!c.watches.has(id)) this.watch(c, id, known === undefined ? n : 0);
        return;
      }
      case 'cancel': {
        const run = this.state(f.conversation_id).runs.find((r) => r.run_id === f.run_id);
        const text = this.drafts.get(f.conversation_id)?.text;
        if (run && !run.ended_at) {
          this.drafts.delete(f.conversation_id);
          this.append(
            f.conversation_id,
            { type: 'run.cancel_requested', run_id: f.run_id, by: 'user', why: 'user' },
            { type: 'run.cancelled', run_id: f.run_id, usage, receipt: text === undefined ? {} : { text } },
          );
        }
        this.done(c, f.id, f.conversation_id);
        return;
      }
      case 'answer': {
        const run = this.state(f.conversation_id).runs.find((r) => r.calls?.some((k) => k.call_id === f.call_id));
        const call = run?.calls?.find((k) => k.call_id === f.call_id);
        if (!run || call?.status !== 'asking') {
          this.send(c, { type: 'error', id: f.id, code: 'not_found', message: 'There is no such call.' });
          return;
        }
        const { call_id } = f;
        const { run_id } = run;
        const answered: Event = {
          type: 'approval.answered',
          call_id,
          run_id,
          decision: f.decision,
          ...(f.arguments && { arguments: f.arguments }),
          by: 'user',
        };
        if (f.decision === 'deny') {
          const error = { code: 'denied', message: 'The person did not allow this call.' };
          this.append(f.conversation_id, answered, {
            type: 'tool.returned',
            call_id,
            run_id,
            ok: false,
            error,
            duration_ms: 0,
          });
        } else {
          this.append(f.conversation_id, answered, {
            type: 'tool.called',
            call_id,
            run_id,
            server: 'tasks',
            name: call.name,
            arguments: f.arguments ?? call.arguments,
            by: 'model',
            deadline: '2026-03-14T10:00:00Z',
          });
        }
        this.done(c, f.id, f.conversation_id);
        return;
      }
      case 'rename':
        this.append(f.conversation_id, { type: 'conversation.renamed', title: f.title, by: 'user' });
        this.done(c, f.id, f.conversation_id);
        return;
      case 'archive':
        this.append(f.conversation_id, { type: 'conversation.archived', archived: f.archived });
        this.done(c, f.id, f.conversation_id);
        return;
      case 'pin':
        this.append(f.conversation_id, { type: 'conversation.pinned', pinned: f.pinned });
        this.done(c, f.id, f.conversation_id);
        return;
      case 'read':
        this.append(f.conversation_id, { type: 'conversation.read', read_n: f.read_n });
        this.done(c, f.id, f.conversation_id);
        return;
      case 'delete':
        this.append(f.conversation_id, { type: 'conversation.deleted' });
        this.done(c, f.id, f.conversation_id);
        return;
      case 'restore':
        this.append(f.conversation_id, { type: 'conversation.restored' });
        this.done(c, f.id, f.conversation_id);
        return;
      case 'call_tool': {
        this.send(c, { type: 'call', id: f.id, call_id: `hand-${f.id}` });
        const { title } = f.arguments as { title?: string };
        if (title === undefined) {
          const error = { code: 'tool_error', message: 'A task needs a title.' };
          this.send(c, { type: 'call_result', id: f.id, call_id: `hand-${f.id}`, ok: false, error, duration_ms: 1 });
          return;
        }
        const task = this.task(title);
        this.tell({ type: 'task', task });
        this.send(c, {
          type: 'call_result',
          id: f.id,
          call_id: `hand-${f.id}`,
          ok: true,
          result: { task },
          duration_ms: 1,
        });
        return;
      }
      default:
    }
  }

  private done(c: Connection, id: string, conversation: string): void {
    this.send(c, { type: 'done', id, n: this.logs.get(conversation)?.length ?? 0 });
  }
}
