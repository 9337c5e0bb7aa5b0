import type { Config, Conversation, JSONValue, Query, Run, Summary, Task, TaskChange } from '../protocol/types';

/** What went wrong, in words for the reader, with what to quote when asking for help. */
export interface ErrorInfo {
  code: string;
  message: string;
  /** What to quote when asking for help: the server knows it. */
  requestId?: string;
  /** Of what the code speaks; a request without it. */
  of?: 'calls' | 'runs';
}

export interface SessionState {
  status: 'unknown' | 'signed-out' | 'signing-in' | 'signed-in' | 'expired';
  userId?: string;
  error?: ErrorInfo;
}

export interface ConnectionState {
  status: 'connecting' | 'online' | 'offline';
  /** When the next try is, in ms since the epoch. */
  retryAt?: number;
  /** When this status began, in ms since the epoch. */
  since: number;
}

export interface ConversationsState {
  items: readonly Summary[];
  status: 'idle' | 'loading' | 'ready' | 'error';
  hasMore: boolean;
}

/** Text of an answer that is being written. */
export interface LiveDraft {
  runId: string;
  step: number;
  attempt: number;
  text: string;
}

export interface OpenConversation {
  id: string;
  status: 'loading' | 'live' | 'catching-up' | 'not-found' | 'error';
  state: Conversation;
  draft?: LiveDraft;
  error?: ErrorInfo;
}

export interface TasksState {
  byId: Readonly<Record<number, Task>>;
  status: 'loading' | 'ready' | 'error';
  error?: ErrorInfo;
  rev: number;
  /** When a task last changed while the page was watching, in ms since the epoch. */
  changed: Readonly<Record<number, number>>;
}

export interface OutboxItem {
  id: string;
  /** Absent in the first messages of a conversation that does not exist yet. */
  conversationId?: string;
  /** Of those: which new conversation, see AppState.newChat. */
  chat?: string;
  text: string;
  parentId?: string;
  /** Known once the message is stored; the item goes when the conversation shows it. */
  runId?: string;
  /** waiting: until there is a connection, or until the one before it is stored. */
  status: 'sending' | 'waiting' | 'failed';
  error?: ErrorInfo;
  /** ms since the epoch */
  createdAt: number;
}

export interface Toast {
  id: string;
  kind: 'info' | 'error' | 'undo';
  text: string;
  /** Of an error: what the words for it are found by. */
  error?: ErrorInfo;
  action?: { label: string; run: () => void };
  /** ms since the epoch */
  expiresAt: number;
}

export interface AppState {
  session: SessionState;
  config?: Config;
  connection: ConnectionState;
  conversations: ConversationsState;
  /** The conversation on screen; undefined = a new one. */
  open?: OpenConversation;
  /** Tells one new conversation without an id from the next. */
  newChat: string;
  tasks: TasksState;
  outbox: readonly OutboxItem[];
  /** Runs that the reader has asked to stop and that do not show it yet. */
  stopping: readonly string[];
  toasts: readonly Toast[];
  /** Set when the server has become another version than the one this page came from. */
  newVersion?: string;
}

export interface CallOutcome {
  ok: boolean;
  result?: JSONValue;
  error?: ErrorInfo;
}

export interface Actions {
  signInAs(userId: string): Promise<void>;
  signOut(): void;
  /** undefined = a new conversation */
  openConversation(id: string | undefined): void;
  loadOlder(): Promise<void>;
  /** Finds a message, or an answer by its run, in the open conversation, reading as far as that takes. */
  find(id: string): Promise<Run | undefined>;
  /** Reads all of the open conversation's branch. */
  loadAll(): Promise<void>;
  /** Sends a message and returns its id. parentId: a run id, or "root" for before the first message. */
  send(text: string, opts?: { parentId?: string }): string;
  retry(id: string): void;
  discard(id: string): void;
  /** Stops the active run of the open conversation, or the message that is about to start one. */
  stop(): void;
  /** Stops one run, also a queued one. */
  cancelRun(runId: string): void;
  regenerate(runId: string): void;
  rate(runId: string, rating: 'up' | 'down' | 'none', reason?: string): Promise<void>;
  callTool(name: string, args: object): Promise<CallOutcome>;
  /** Answers a call that asks first; with arguments, those instead of the model's. False if that could not be told. */
  answer(callId: string, decision: 'allow' | 'deny', args?: object): Promise<boolean>;
  rename(id: string, title: string): Promise<void>;
  pin(id: string, pinned: boolean): Promise<void>;
  /** Puts a conversation away at once and offers to undo it, or takes it back. */
  archive(id: string, archived: boolean): Promise<void>;
  /** Safe to call on every change of n. */
  markRead(id: string, n: number): void;
  /** Hides a conversation at once and offers to undo it. */
  remove(id: string): Promise<void>;
  restore(id: string): Promise<void>;
  loadMoreConversations(): Promise<void>;
  /** Asks the server for what only a view that is seldom open shows; it brings the decoder. */
  read<T>(decode: (v: unknown) => T, path: readonly string[], query?: Query): Promise<T>;
  /** The same for what is a text. */
  readText(path: readonly string[], query?: Query): Promise<string>;
  refreshTasks(): Promise<void>;
  taskHistory(taskId: number, after?: string): Promise<{ data: TaskChange[]; hasMore: boolean; after?: string }>;
  toast(kind: Toast['kind'], text: string, action?: Toast['action']): string;
  /** Tells the reader of an error. */
  fail(error: ErrorInfo): void;
  dismissToast(id: string): void;
  reconnectNow(): void;
}

/** State without React. */
export interface Store {
  getState(): AppState;
  subscribe: (listener: () => void) => () => void;
  actions: Actions;
  /** Begins: asks the server for its configuration and signs in whom it remembers. */
  start(): Promise<void>;
  /** The page has become visible. */
  visible(): void;
  /** Tells when the first message of a new conversation on screen has given it an id. */
  onConversation(listener: (id: string) => void): () => void;
}
