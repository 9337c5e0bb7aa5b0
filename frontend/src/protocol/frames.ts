// The frames of the WebSocket and the bodies of the HTTP calls, as DESIGN §8
// gives them. Events, commits and the state of a conversation are generated from
// Go's types, see types.gen.ts.
import type { Commit, Delta, Snapshot, Status, ToolError } from './types.gen';

/** A task as a tool result, a frame or a list carries it. The highest rev is the newest. */
export interface Task {
  readonly task_id: number;
  readonly title: string;
  readonly description: string;
  readonly due_on: string | null;
  readonly status: 'open' | 'completed';
  readonly deleted: boolean;
  readonly created_at: string;
  readonly updated_at: string;
  readonly completed_at: string | null;
  readonly task_rev: number;
}

/** The parameters of a request; what is undefined is left out. */
export type Query = Readonly<Record<string, string | number | undefined>>;

export type ConversationStatus = 'idle' | Status;

export interface Summary {
  readonly conversation_id: string;
  readonly title: string;
  readonly title_by?: string;
  readonly pinned?: boolean;
  readonly archived?: boolean;
  readonly read_n: number;
  readonly n: number;
  readonly status: ConversationStatus;
  readonly created_at: string;
  readonly updated_at: string;
  readonly last_text?: string;
  readonly deleted?: boolean;
}

export interface Model {
  readonly name: string;
  readonly label: string;
  readonly demo: boolean;
}

export interface Limits {
  readonly message_chars: number;
}

export interface Config {
  readonly server_version: string;
  readonly auth: { readonly mode: 'dev' | 'jwt' };
  readonly model: Model;
  readonly limits: Limits;
}

export interface Page<T> {
  readonly data: readonly T[];
  readonly has_more: boolean;
  readonly after?: string;
}

export interface TaskPage extends Page<Task> {
  readonly task_rev: number;
}

export interface CommitPage {
  readonly data: readonly Commit[];
  readonly has_more: boolean;
  readonly after: number;
}

export interface TaskChange {
  readonly task_rev: number;
  readonly tool: string;
  readonly by: string;
  readonly call_id: string;
  readonly conversation_id: string;
  readonly run_id?: string;
  readonly at: string;
  readonly task: Task;
}

/** Changes of all tasks, oldest first. After is the revision to read on from. */
export interface TaskChanges {
  readonly data: readonly TaskChange[];
  readonly has_more: boolean;
  readonly after: number;
}

export type ServerFrame =
  | {
      readonly type: 'connected';
      readonly user_id: string;
      readonly model: Model;
      readonly limits: Limits;
      readonly server_version: string;
      readonly expires_at: string;
    }
  | {
      readonly type: 'commit';
      readonly conversation_id: string;
      readonly n: number;
      readonly commit: Commit;
    }
  | { readonly type: 'live'; readonly conversation_id: string; readonly n: number }
  | Delta
  | Snapshot
  | { readonly type: 'accepted'; readonly id: string; readonly conversation_id: string; readonly run_id?: string }
  | {
      readonly type: 'conversation';
      readonly conversation_id: string;
      readonly title: string;
      readonly n: number;
      readonly status: ConversationStatus;
      readonly updated_at: string;
      readonly deleted?: boolean;
      readonly pinned?: boolean;
      readonly archived?: boolean;
    }
  | { readonly type: 'task'; readonly task: Task }
  | { readonly type: 'call'; readonly id: string; readonly call_id: string }
  | CallResult
  | { readonly type: 'done'; readonly id: string; readonly n?: number }
  | ErrorFrame
  | { readonly type: 'pong' };

export interface CallResult {
  readonly type: 'call_result';
  readonly id: string;
  readonly call_id: string;
  readonly ok: boolean;
  readonly result?: unknown;
  readonly error?: ToolError;
  readonly duration_ms?: number;
}

export interface ErrorFrame {
  readonly type: 'error';
  readonly id?: string;
  readonly conversation_id?: string;
  readonly code: string;
  readonly message: string;
  readonly retry_after?: number;
}

/** A command that is answered by `accepted`, `done`, `call` + `call_result`, or `error`. */
export type Command =
  | {
      readonly type: 'message';
      readonly id: string;
      readonly conversation_id?: string;
      readonly message: string;
      readonly parent_id?: string;
      readonly timezone?: string;
    }
  | {
      readonly type: 'regenerate';
      readonly id: string;
      readonly conversation_id: string;
      readonly run_id: string;
      readonly timezone?: string;
    }
  | { readonly type: 'cancel'; readonly id: string; readonly conversation_id: string; readonly run_id: string }
  | {
      readonly type: 'rename';
      readonly id: string;
      readonly conversation_id: string;
      readonly title: string;
    }
  | {
      readonly type: 'pin';
      readonly id: string;
      readonly conversation_id: string;
      readonly pinned: boolean;
    }
  | {
      readonly type: 'archive';
      readonly id: string;
      readonly conversation_id: string;
      readonly archived: boolean;
    }
  | {
      readonly type: 'read';
      readonly id: string;
      readonly conversation_id: string;
      readonly read_n: number;
    }
  | { readonly type: 'delete'; readonly id: string; readonly conversation_id: string }
  | { readonly type: 'restore'; readonly id: string; readonly conversation_id: string }
  | {
      readonly type: 'rate';
      readonly id: string;
      readonly conversation_id: string;
      readonly run_id: string;
      readonly rating: 'up' | 'down' | 'none';
      readonly reason?: string;
    }
  | {
      readonly type: 'answer';
      readonly id: string;
      readonly conversation_id: string;
      readonly call_id: string;
      readonly decision: 'allow' | 'deny';
      readonly arguments?: object;
    }
  | {
      readonly type: 'call_tool';
      readonly id: string;
      readonly name: string;
      readonly arguments: object;
    };

export type ClientFrame =
  | Command
  | { readonly type: 'connect'; readonly token: string }
  | { readonly type: 'refresh'; readonly token: string }
  | { readonly type: 'subscribe'; readonly conversation_id: string; readonly after: number }
  | { readonly type: 'unsubscribe'; readonly conversation_id: string }
  | { readonly type: 'ping' };
