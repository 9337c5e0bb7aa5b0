import { t } from '../i18n/t';
import type { Call, Task } from '../protocol/types';

/** What a call row says: words, the task it is about, and whether that task may be brought back. */
export interface Summary {
  text: string;
  taskId?: number;
  /** Set after a deletion. */
  undo?: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

function fields(v: unknown): Fields {
  return typeof v === 'object' && v !== null && !Array.isArray(v) ? (v as Fields) : {};
}

function str(v: unknown): string | undefined {
  return typeof v === 'string' && v.trim() !== '' ? v.trim() : undefined;
}

function int(v: unknown): number | undefined {
  return typeof v === 'number' && Number.isInteger(v) ? v : undefined;
}

/** The row of the task in a result; only what looks like one. */
export function resultTask(result: unknown): Pick<Task, 'task_id' | 'title'> | undefined {
  const task = fields(fields(result).task);
  const task_id = int(task.task_id);
  const title = str(task.title);
  return task_id === undefined || title === undefined ? undefined : { task_id, title };
}

/** How many characters of a title a row shows at most. */
const shown = 80;

function cut(s: string): string {
  const points = Array.from(s);
  return points.length > shown ? `${points.slice(0, shown - 1).join('')}…` : s;
}

/** What a finished call has done, said from its result and from nothing else. */
export function doneSummary(call: Call): Summary {
  const task = resultTask(call.result);
  if (task) {
    const title = cut(task.title);
    switch (call.name) {
      case 'add_task':
      case 'complete_task':
      case 'reopen_task':
      case 'restore_task':
      case 'update_task':
        return { text: t.tools.done[call.name](title), taskId: task.task_id };
      case 'delete_task':
        return { text: t.tools.done.delete_task(title), taskId: task.task_id, undo: true };
    }
  }
  const count = int(fields(call.result).count);
  if (call.name === 'list_tasks' && count !== undefined) {
    const args = fields(call.arguments);
    const query = str(args.query);
    if (query !== undefined) return { text: t.tools.done.searched(count, cut(query)) };
    const status = args.status === 'open' || args.status === 'completed' ? args.status : 'all';
    return { text: t.tools.done.list_tasks(count, status) };
  }
  return { text: t.tools.done.other(call.name) };
}

/** What a call is about, from its arguments: `“Buy milk”` or `#5`. */
function object(call: Call): string | undefined {
  const args = fields(call.arguments);
  const id = int(args.task_id);
  if (id !== undefined) return `#${id}`;
  const title = str(args.title) ?? str(args.query);
  return title === undefined ? undefined : `“${cut(title)}”`;
}

function sentence(verbs: Readonly<Record<string, string>>, call: Call, other: string): string {
  const verb = Object.hasOwn(verbs, call.name) ? verbs[call.name] : undefined;
  const about = object(call);
  if (verb === undefined) return other;
  return about === undefined ? verb : `${verb} ${about}`;
}

/** What a call wants to do, while nobody knows whether it will. */
export function plannedSummary(call: Call): string {
  return sentence(t.tools.doing, call, call.name);
}

/** What a call could not do. */
export function failedSummary(call: Call): string {
  return sentence(t.tools.could, call, t.tools.couldNot(call.name));
}

/** A call by its technical name, as a receipt names it. */
export function callName(call: Call): string {
  const about = object(call);
  return about === undefined ? call.name : `${call.name} ${about}`;
}

/** What to say aloud about a call that has changed a task. */
export function announcement(call: Call): string | undefined {
  const task = resultTask(call.result);
  const say = Object.hasOwn(t.tools.announced, call.name) ? t.tools.announced[call.name] : undefined;
  return call.status === 'done' && task && say ? say(cut(task.title)) : undefined;
}

/** JSON for people. */
export function pretty(v: unknown): string {
  return typeof v === 'string' ? v : v === undefined ? '' : JSON.stringify(v, null, 2);
}
