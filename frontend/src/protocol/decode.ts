// Strict decoding of what the server sends. A frame that is not what it should be
// is an error the caller counts and answers with a resume, never half a state.
import * as is from './check';
import type { Check } from './check';
import type { CommitPage, Config, Page, ServerFrame, Summary, Task, TaskChange, TaskChanges, TaskPage } from './frames';
import type { Commit, Conversation, Event } from './types.gen';

const status = is.oneOf('queued', 'in_progress', 'requires_action', 'cancelling', 'completed', 'failed', 'cancelled');
const conversationStatus = is.oneOf(
  'idle',
  'queued',
  'in_progress',
  'requires_action',
  'cancelling',
  'completed',
  'failed',
  'cancelled',
);
const by = is.oneOf('user', 'model', 'system');
const usage = is.object({
  input_tokens: is.number,
  output_tokens: is.number,
  estimated: is.optional(is.boolean),
});
const lease = is.object({ stream: is.string, sequence: is.number, delivery: is.number });
const toolError = is.object({ code: is.string, message: is.string });
const receipt = is.object({
  text: is.optional(is.string),
  ran: is.optional(is.list(is.string)),
  not_run: is.optional(is.list(is.string)),
});

const run = { run_id: is.string };
const call = { call_id: is.string, run_id: is.optional(is.string) };

const eventShapes: Readonly<Record<Event['type'], Check<unknown>>> = {
  'message.accepted': is.object({
    ...run,
    message_id: is.string,
    parent_id: is.optional(is.string),
    text: is.string,
    model: is.optional(is.string),
    timezone: is.optional(is.string),
    regenerates: is.optional(is.string),
  }),
  'run.started': is.object({
    ...run,
    message_id: is.string,
    model: is.string,
    deadline: is.string,
  }),
  'step.started': is.object({
    ...run,
    step: is.number,
    attempt: is.number,
    lease,
    worker: is.string,
  }),
  'step.interrupted': is.object({ ...run, step: is.number, attempt: is.number }),
  'step.completed': is.object({
    ...run,
    step: is.number,
    attempt: is.number,
    text: is.string,
    tool_calls: is.optional(is.list(is.object({ call_id: is.string, name: is.string, arguments: is.any }))),
    usage,
    finish_reason: is.string,
  }),
  'tool.called': is.object({
    ...call,
    server: is.string,
    name: is.string,
    arguments: is.any,
    by,
    deadline: is.string,
  }),
  'approval.requested': is.object({ ...run, call_id: is.string, expires_at: is.string }),
  'approval.answered': is.object({
    ...run,
    call_id: is.string,
    decision: is.string,
    arguments: is.optional(is.any),
    by,
    deadline: is.optional(is.string),
  }),
  'tool.returned': is.object({
    ...call,
    ok: is.boolean,
    result: is.optional(is.any),
    error: is.optional(toolError),
    duration_ms: is.number,
    late: is.optional(is.boolean),
    truncated: is.optional(is.boolean),
  }),
  'run.cancel_requested': is.object({ ...run, by, why: is.oneOf('user', 'deadline', 'poison') }),
  'run.completed': is.object({ ...run, usage }),
  'run.failed': is.object({ ...run, code: is.string, message: is.string, usage, receipt }),
  'run.cancelled': is.object({ ...run, usage, receipt }),
  'conversation.renamed': is.object({ title: is.string, by }),
  'conversation.pinned': is.object({ pinned: is.boolean }),
  'conversation.archived': is.object({ archived: is.boolean }),
  'conversation.read': is.object({ read_n: is.count }),
  'conversation.deleted': is.record,
  'conversation.restored': is.record,
  'message.rated': is.object({
    ...run,
    rating: is.oneOf('up', 'down', 'none'),
    reason: is.optional(is.string),
  }),
};

const event: Check<Event> = (v, path) => {
  const { type } = is.object({ type: is.string })(v, path);
  // An event of a type that came later is kept as it is; the fold counts it.
  if (Object.hasOwn(eventShapes, type)) eventShapes[type as Event['type']](v, `${path}.${type}`);
  return v as Event;
};

const commit: Check<Commit> = (v, path) => {
  const c = is.object({
    v: is.number,
    conversation_id: is.string,
    user_id: is.string,
    n: is.count,
    commit_id: is.string,
    cause: is.string,
    by,
    time: is.string,
    events: is.list(event),
  })(v, path);
  if (c.v !== 1) throw new is.Malformed(`${path}: version ${c.v}`);
  if (c.n === 0 || c.commit_id === '' || c.events.length === 0) {
    throw new is.Malformed(`${path}: no n, commit id or events`);
  }
  return c as Commit;
};

const callShape = is.object({
  call_id: is.string,
  step: is.optional(is.number),
  name: is.string,
  arguments: is.any,
  by,
  status: is.oneOf('waiting', 'asking', 'running', 'done', 'failed', 'denied', 'stopped'),
  called_at: is.optional(is.string),
  returned_at: is.optional(is.string),
  result: is.optional(is.any),
  error: is.optional(toolError),
  duration_ms: is.optional(is.number),
});

const conversation: Check<Conversation> = (v, path) =>
  is.object({
    user_id: is.string,
    conversation_id: is.string,
    n: is.count,
    title: is.optional(is.string),
    title_by: is.optional(by),
    pinned: is.optional(is.boolean),
    archived: is.optional(is.boolean),
    read_n: is.optional(is.count),
    deleted: is.optional(is.boolean),
    created_at: is.optional(is.string),
    updated_at: is.optional(is.string),
    runs: is.list(
      is.object({
        run_id: is.string,
        parent_id: is.optional(is.string),
        n: is.count,
        message: is.object({ message_id: is.string, text: is.string, time: is.string }),
        status,
        step: is.optional(is.number),
        attempt: is.optional(is.number),
        streaming: is.optional(is.boolean),
        steps: is.optional(
          is.list(is.object({ step: is.number, text: is.string, calls: is.optional(is.list(is.string)) })),
        ),
        calls: is.optional(is.list(callShape)),
        error: is.optional(toolError),
        receipt: is.optional(receipt),
        usage,
      }),
    ),
    calls: is.optional(is.list(callShape)),
    has_more: is.optional(is.boolean),
    skipped: is.optional(is.count),
  })(v, path) as Conversation;

const task: Check<Task> = is.object({
  task_id: is.count,
  title: is.string,
  description: is.string,
  due_on: is.nullable(is.string),
  status: is.oneOf('open', 'completed'),
  deleted: is.boolean,
  created_at: is.string,
  updated_at: is.string,
  completed_at: is.nullable(is.string),
  task_rev: is.count,
});

const summary: Check<Summary> = is.object({
  conversation_id: is.string,
  title: is.string,
  title_by: is.optional(is.string),
  pinned: is.optional(is.boolean),
  archived: is.optional(is.boolean),
  read_n: is.count,
  n: is.count,
  status: conversationStatus,
  created_at: is.string,
  updated_at: is.string,
  last_text: is.optional(is.string),
  deleted: is.optional(is.boolean),
});

const model = is.object({ name: is.string, label: is.string, demo: is.boolean });
const limits = is.object({ message_chars: is.count });

const page = <T>(item: Check<T>): Check<Page<T>> =>
  is.object({ data: is.list(item), has_more: is.boolean, after: is.optional(is.string) });

const id = { id: is.string };
const of = { conversation_id: is.string };
const piece = { ...of, ...run, step: is.count, attempt: is.count, text: is.string };

const frameShapes: Readonly<Record<ServerFrame['type'], Check<unknown>>> = {
  connected: is.object({
    user_id: is.string,
    model,
    limits,
    server_version: is.string,
    expires_at: is.string,
  }),
  commit: (v, path) => {
    const f = is.object({ ...of, n: is.count, commit })(v, path);
    if (f.n !== f.commit.n || f.conversation_id !== f.commit.conversation_id) {
      throw new is.Malformed(`${path}: the frame names another commit than it carries`);
    }
    return f;
  },
  live: is.object({ ...of, n: is.count }),
  delta: is.object({ ...piece, offset: is.count }),
  snapshot: is.object(piece),
  accepted: is.object({ ...id, ...of, run_id: is.optional(is.string) }),
  conversation: is.object({
    ...of,
    title: is.string,
    n: is.count,
    status: conversationStatus,
    updated_at: is.string,
    deleted: is.optional(is.boolean),
    pinned: is.optional(is.boolean),
    archived: is.optional(is.boolean),
  }),
  task: is.object({ task }),
  call: is.object({ ...id, call_id: is.string }),
  call_result: is.object({
    ...id,
    call_id: is.string,
    ok: is.boolean,
    result: is.optional(is.any),
    error: is.optional(toolError),
    duration_ms: is.optional(is.number),
  }),
  done: is.object({ ...id, n: is.optional(is.count) }),
  error: is.object({
    id: is.optional(is.string),
    conversation_id: is.optional(is.string),
    code: is.string,
    message: is.string,
    retry_after: is.optional(is.number),
  }),
  pong: is.record,
};

/** Returns undefined for a frame of a type this page does not know; throws Malformed. */
export function decodeFrame(text: string): ServerFrame | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new is.Malformed('frame: not JSON');
  }
  const { type } = is.object({ type: is.string })(value, 'frame');
  if (!Object.hasOwn(frameShapes, type)) return undefined;
  frameShapes[type as ServerFrame['type']](value, type);
  return value as ServerFrame;
}

const at =
  <T>(check: Check<T>, path: string) =>
  (value: unknown): T =>
    check(value, path);

export const decodeCommit = at(commit, 'commit');
export const decodeConversation = at(conversation, 'conversation');
export const decodeSummary = at(summary, 'summary');
export const decodeSummaries = at(page(summary), 'conversations');
export const decodeTask = at(task, 'task');
export const decodeTasks = at<TaskPage>(
  is.object({
    data: is.list(task),
    has_more: is.boolean,
    after: is.optional(is.string),
    task_rev: is.count,
  }),
  'tasks',
);
const change: Check<TaskChange> = is.object({
  task_rev: is.count,
  tool: is.string,
  by: is.string,
  call_id: is.string,
  conversation_id: is.string,
  run_id: is.optional(is.string),
  at: is.string,
  task,
});
export const decodeTaskHistory = at(page(change), 'history');
export const decodeTaskChanges = at<TaskChanges>(
  is.object({ data: is.list(change), has_more: is.boolean, after: is.count }),
  'changes',
);
export const decodeCommits = at<CommitPage>(
  is.object({ data: is.list(commit), has_more: is.boolean, after: is.count }),
  'events',
);
export const decodeConfig = at<Config>(
  is.object({
    server_version: is.string,
    auth: is.object({ mode: is.oneOf('dev', 'jwt') }),
    model,
    limits,
  }),
  'config',
);
export const decodeToken = at(is.object({ token: is.string, expires_at: is.string }), 'token');
export const decodeError = at(
  is.object({
    error: is.object({
      code: is.string,
      message: is.string,
      request_id: is.optional(is.string),
    }),
  }),
  'error',
);

/** The task row in the result of a tool that wrote one. */
export function taskOf(result: unknown): Task | undefined {
  try {
    return is.object({ task })(result, 'result').task;
  } catch {
    return undefined;
  }
}

/** The rows in the result of list_tasks. */
export function tasksOf(result: unknown): readonly Task[] | undefined {
  try {
    return is.object({ tasks: is.list(task) })(result, 'result').tasks;
  } catch {
    return undefined;
  }
}
