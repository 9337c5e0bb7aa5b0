import { goldens } from '../../test/unit/golden';
import { random } from '../../test/unit/random';
import type { Commit, Event, Task, TaskChange } from '../protocol/types';
import { emptyConversation, fold } from './fold';
import { nextCall, Recording, stay } from './recording';

const logs = goldens();

function recorded(commits: readonly Commit[]): Recording {
  const r = new Recording(commits[0]!.user_id, commits[0]!.conversation_id);
  for (const c of commits) r.add(c);
  return r;
}

const plain = (v: unknown): unknown => JSON.parse(JSON.stringify(v));
const at = (s: number) => new Date(Date.UTC(2026, 2, 14, 9, 0, s)).toISOString();

function row(id: number, rev: number, more: Partial<Task> = {}): Task {
  return {
    task_id: id,
    title: `Task ${id} of ${rev}`,
    description: '',
    due_on: null,
    status: 'open',
    deleted: false,
    created_at: at(0),
    updated_at: at(0),
    completed_at: null,
    ...more,
    task_rev: rev,
  };
}

function change(task: Task, second: number, more: Partial<TaskChange> = {}): TaskChange {
  return {
    task_rev: task.task_rev,
    tool: 'update_task',
    by: 'user',
    call_id: `hand-${task.task_rev}`,
    conversation_id: 'home',
    at: at(second),
    task,
    ...more,
  };
}

const lease = { stream: 'INBOX', sequence: 1, delivery: 1 };
const usage = { input_tokens: 1, output_tokens: 1 };

function log(...list: { s: number; events: Event[] }[]): Commit[] {
  return list.map(({ s, events }, i) => ({
    v: 1,
    conversation_id: 'c1',
    user_id: 'ada',
    n: i + 1,
    commit_id: `c1:${i + 1}`,
    cause: 'm1',
    by: i === 0 ? 'user' : 'system',
    time: at(s),
    events,
  }));
}

/** "Add milk": asked at second 10, done at 12 by revision 5, said at 20. */
const milk = log(
  {
    s: 10,
    events: [
      { type: 'message.accepted', message_id: 'm1', run_id: 'r', text: 'Add milk' },
      { type: 'run.started', run_id: 'r', message_id: 'm1', model: 'demo', deadline: at(60) },
      { type: 'step.started', run_id: 'r', step: 1, attempt: 1, lease, worker: 'w' },
    ],
  },
  {
    s: 11,
    events: [
      {
        type: 'step.completed',
        run_id: 'r',
        step: 1,
        attempt: 1,
        text: '',
        usage,
        finish_reason: 'tool_calls',
        tool_calls: [{ call_id: 'r-1-0', name: 'add_task', arguments: { title: 'Milk' } }],
      },
      {
        type: 'tool.called',
        call_id: 'r-1-0',
        run_id: 'r',
        server: 'tasks',
        name: 'add_task',
        arguments: { title: 'Milk' },
        by: 'model',
        deadline: at(60),
      },
    ],
  },
  {
    s: 12,
    events: [
      { type: 'tool.returned', call_id: 'r-1-0', run_id: 'r', ok: true, result: { task: row(3, 5) }, duration_ms: 41 },
      { type: 'step.started', run_id: 'r', step: 2, attempt: 1, lease, worker: 'w' },
    ],
  },
  {
    s: 20,
    events: [
      { type: 'step.completed', run_id: 'r', step: 2, attempt: 1, text: 'Done.', usage, finish_reason: 'stop' },
      { type: 'run.completed', run_id: 'r', usage },
    ],
  },
);

describe.each(logs)('[67] $name', ({ commits }) => {
  it('shows at every instant what the live fold had, in whatever order one looks', () => {
    const live = [emptyConversation(commits[0]!.user_id, commits[0]!.conversation_id)];
    for (const c of commits) live.push(fold(live.at(-1)!, c));
    const r = recorded(commits);
    expect(r.n).toBe(commits.length);
    const rand = random(commits.length);
    const order = [...live.keys(), ...live.keys()].sort(() => rand() - 0.5);
    for (const n of order) expect(plain(r.chatAt(n))).toEqual(plain(live[n]));
    expect(r.chatAt(commits.length + 7)).toEqual(live.at(-1));
  });

  it('keeps the identity of what did not change, so that a step draws only what it must', () => {
    const r = recorded(commits);
    for (let n = 1; n < r.n; n++) {
      const before = r.chatAt(n - 1);
      const named = new Set(commits[n - 1]!.events.flatMap((e) => ('run_id' in e ? [e.run_id] : [])));
      const after = r.chatAt(n);
      for (const run of before.runs) if (!named.has(run.run_id) && n < 200) expect(after.runs).toContain(run);
    }
  });

  it('lists each of its events once, in order', () => {
    const r = recorded(commits);
    expect(r.entries().map((e) => e.event)).toEqual(commits.flatMap((c) => c.events));
    expect(new Set(r.entries().map((e) => e.key)).size).toBe(r.entries().length);
    expect(r.kinds()).toHaveLength(r.n);
  });
});

it('[67] remembers a long history sparsely, and finds every instant of it again', () => {
  const long = log(
    ...Array.from({ length: 730 }, (_, i) => ({
      s: i,
      events: [{ type: 'conversation.renamed', title: `Title ${i + 1}`, by: 'user' } satisfies Event],
    })),
  );
  const r = recorded(long);
  for (const n of [730, 1, 49, 50, 51, 700, 333, 729, 2]) {
    expect(r.chatAt(n)).toMatchObject({ n, title: `Title ${n}` });
  }
  for (let n = 730; n >= 1; n--) expect(r.chatAt(n).title).toBe(`Title ${n}`);
});

describe('[67] the tasks of an instant', () => {
  const titles = (r: Recording, n: number) =>
    Object.values(r.tasksAt(n).byId)
      .filter((t) => !t.deleted)
      .map((t) => t.title);

  it('start from what was there, and get what this conversation does with the commit that says so', () => {
    const r = recorded(milk);
    r.setBase([row(1, 2), row(2, 4)]);
    // The history has the call too, by a clock that is not the log's.
    r.addChanges([change(row(3, 5), 11, { call_id: 'r-1-0', conversation_id: 'c1', tool: 'add_task' })]);
    expect(titles(r, 2)).toEqual(['Task 1 of 2', 'Task 2 of 4']);
    expect(titles(r, 3)).toEqual(['Task 1 of 2', 'Task 2 of 4', 'Task 3 of 5']);
    expect([...r.touchedAt(3).keys()]).toEqual([3]);
    expect(r.touchedAt(3).get(3)).toMatchObject({ tool: 'add_task' });
    expect(r.touchedAt(2).size).toBe(0);
    expect(r.entries()).toHaveLength(9);
  });

  it('get what was done elsewhere by the clock, from the next instant on', () => {
    const r = recorded(milk);
    r.setBase([row(1, 2), row(2, 4)]);
    r.addChanges([
      change(row(3, 5), 11, { call_id: 'r-1-0', conversation_id: 'c1' }),
      change(row(1, 6, { status: 'completed' }), 15),
      change(row(2, 7, { deleted: true }), 16, { by: 'model', conversation_id: 'c9', tool: 'delete_task' }),
      change(row(3, 8), 99),
    ]);
    expect(r.tasksAt(3).byId[1]?.status).toBe('open');
    expect(r.tasksAt(4).byId[1]?.status).toBe('completed');
    expect(titles(r, 4)).toEqual(['Task 1 of 6', 'Task 3 of 5']);
    expect(titles(r, 3)).toContain('Task 2 of 4');
    expect([...r.touchedAt(4)].map(([id, t]) => [id, t.tool])).toEqual([
      [1, 'update_task'],
      [2, 'delete_task'],
    ]);
    const elsewhere = r.entries().filter((e) => e.kind === 'elsewhere');
    expect(elsewhere.map((e) => [e.n, e.actor, e.change?.task_rev])).toEqual([
      [4, 'user', 6],
      [4, 'model', 7],
    ]);
    // They stand before the commit that came after them.
    expect(r.entries().indexOf(elsewhere[0]!)).toBe(7);
    // What came after the last commit belongs to now, until there is a later one.
    r.add({ ...milk[3]!, n: 5, commit_id: 'c1:5', time: at(120), events: [{ type: 'conversation.restored' }] });
    expect(titles(r, 4)).toContain('Task 3 of 5');
    expect(titles(r, 5)).toContain('Task 3 of 8');
    expect(r.entries().at(-2)).toMatchObject({ kind: 'elsewhere', n: 5 });
  });

  it('never go back to an older row, whichever comes first', () => {
    const r = recorded(milk);
    // By hand at once after the call, before the log had its answer.
    r.addChanges([change(row(3, 5), 11, { call_id: 'r-1-0', conversation_id: 'c1' }), change(row(3, 6), 11, {})]);
    expect(r.tasksAt(2).byId[3]?.task_rev).toBe(6);
    expect(r.tasksAt(3).byId[3]?.task_rev).toBe(6);
  });

  it('are the same whichever way one came, as the live list once everything has come', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const rand = random(seed);
      const base = Array.from({ length: 4 }, (_, i) => row(i + 1, i + 1));
      let rev = base.length;
      const live = new Map(base.map((t) => [t.task_id, t]));
      const changes: TaskChange[] = [];
      const commits: Commit[] = [];
      for (let n = 1; n <= 40; n++) {
        const events: Event[] = [{ type: 'conversation.pinned', pinned: n % 2 === 0 }];
        for (let i = Math.floor(rand() * 3); i > 0; i--) {
          const task = row(1 + Math.floor(rand() * 9), ++rev, { deleted: rand() < 0.2 });
          live.set(task.task_id, task);
          const own = rand() < 0.5;
          const call = own ? `r-1-${rev}` : `hand-${rev}`;
          changes.push(change(task, n * 10 - 5, { call_id: call, conversation_id: own ? 'c1' : 'home' }));
          if (own) {
            events.push({ type: 'tool.returned', call_id: call, ok: true, result: { task }, duration_ms: 1 });
          }
        }
        commits.push(...log({ s: n * 10, events }).map((c) => ({ ...c, n, commit_id: `c1:${n}` })));
      }
      const r = recorded(commits);
      r.setBase(base);
      r.addChanges(changes.slice(0, 10));
      r.addChanges(changes);
      const forward = commits.map((c) => r.tasksAt(c.n).byId);
      expect(forward.at(-1)).toEqual(Object.fromEntries(live));
      for (let i = 0; i < 60; i++) {
        const n = 1 + Math.floor(rand() * commits.length);
        expect(r.tasksAt(n).byId).toEqual(forward[n - 1]);
      }
    }
  });
});

describe('[68] the entries', () => {
  it('say who, of what kind, and how long it took', () => {
    expect(
      recorded(milk)
        .entries()
        .map((e) => [e.n, e.type, e.kind, e.actor, e.durationMs]),
    ).toEqual([
      [1, 'message.accepted', 'user', 'user', undefined],
      [1, 'run.started', 'other', 'system', undefined],
      [1, 'step.started', 'other', 'system', undefined],
      [2, 'step.completed', 'other', 'model', 1000],
      [2, 'tool.called', 'tool', 'model', undefined],
      [3, 'tool.returned', 'tool', 'tool', 41],
      [3, 'step.started', 'other', 'system', undefined],
      [4, 'step.completed', 'assistant', 'model', 8000],
      [4, 'run.completed', 'other', 'system', 10_000],
    ]);
  });

  it('have a name and arguments for a call that is only referred to', () => {
    const e = recorded(milk).entries()[5];
    expect(e?.call).toEqual({ name: 'add_task', arguments: { title: 'Milk' } });
  });

  it('tell a call that failed from one that was stopped', () => {
    const returned = (code: string): Event => ({
      type: 'tool.returned',
      call_id: 'r-1-0',
      ok: false,
      error: { code, message: 'No.' },
      duration_ms: 1,
    });
    const kinds = (e: Event) => recorded(log({ s: 1, events: [e] })).kinds();
    expect(kinds(returned('tool_failed'))).toEqual(['error']);
    expect(kinds(returned('denied'))).toEqual(['tool']);
    expect(kinds(returned('revoked'))).toEqual(['tool']);
  });

  it('include what this page does not know', () => {
    const e = { type: 'moon.landed', where: 'there' } as unknown as Event;
    expect(recorded(log({ s: 1, events: [e] })).entries()).toMatchObject([{ type: 'moon.landed', kind: 'other' }]);
  });
});

describe('[66] the player', () => {
  it('jumps to the next tool call or error, and stays where there is none', () => {
    const kinds = recorded(milk).kinds();
    expect(kinds).toEqual(['user', 'tool', 'tool', 'assistant']);
    expect(nextCall(kinds, 1, 1)).toBe(2);
    expect(nextCall(kinds, 3, 1)).toBeUndefined();
    expect(nextCall(kinds, 5, -1)).toBe(3);
    expect(nextCall(['user', 'error', 'other'], 1, 1)).toBe(2);
    expect(nextCall([], 1, 1)).toBeUndefined();
  });

  it('keeps the tempo of then within bounds', () => {
    expect(stay(0, 800, 1)).toBe(800);
    expect(stay(0, 800, 2)).toBe(400);
    expect(stay(0, 4, 1)).toBe(300);
    expect(stay(0, 3_600_000, 1)).toBe(2000);
    expect(stay(0, 3_600_000, 4)).toBe(500);
    expect(stay(500, 0, 1)).toBe(300);
    expect(stay(NaN, 0, 1)).toBe(300);
    expect(stay(0, 800, 'max')).toBe(0);
  });
});
