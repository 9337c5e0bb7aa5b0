import type {
  ClientFrame,
  CommitPage,
  Config,
  Conversation,
  Page,
  Query,
  ServerFrame,
  Summary,
  TaskChange,
  TaskPage,
} from '../protocol/types';
import type { ConnectionState } from './state';

/** What the store needs of the HTTP client. Its errors have a code and a sentence. */
export interface Api {
  config(): Promise<Config>;
  conversations(userId: string, q: { after?: string }): Promise<Page<Summary>>;
  messages(userId: string, id: string, q?: { before?: string; limit?: number }): Promise<Conversation>;
  events(userId: string, id: string, after: number): Promise<CommitPage>;
  read<T>(decode: (v: unknown) => T, userId: string, path: readonly string[], query?: Query): Promise<T>;
  readText(userId: string, path: readonly string[], query?: Query): Promise<string>;
  tasks(userId: string, q: { after?: string }): Promise<TaskPage>;
  taskHistory(userId: string, taskId: number, q: { after?: string }): Promise<Page<TaskChange>>;
}

/** Who is signed in. Tokens stay inside. */
export interface Session {
  /** Whom the last visit left signed in. */
  remembered(): string | undefined;
  signIn(userId: string): Promise<void>;
  signOut(): void;
  /** The token was refused: the next use fetches another. */
  invalidate(): void;
  /** Tells that a sign-in has ended without its person having wanted that. */
  onEnded(listener: () => void): () => void;
}

export interface SocketEvents {
  connection(state: ConnectionState): void;
  frame(frame: ServerFrame): void;
  /** A frame was not what it should be: what is on screen may lack something. */
  malformed(): void;
  /** The server does not want this socket back: 4401 or 4403. */
  refused(code: number): void;
}

export interface Socket {
  /** False if there is no connection that has been let in. */
  send(frame: ClientFrame): boolean;
  reconnectNow(): void;
  close(): void;
}

/** What the store says by itself. */
export interface Texts {
  deleted(title: string): string;
  archived(title: string): string;
  undo: string;
}

export interface Deps {
  api: Api;
  session: Session;
  /** Opens a socket that keeps itself connected. */
  connect(userId: string, events: SocketEvents): Socket;
  newId(): string;
  now(): number;
  /** Whether nobody can see the page. */
  hidden(): boolean;
  timezone(): string | undefined;
  texts: Texts;
  /** Keeps unsent messages over a reload. */
  storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
}
