import {
  decodeCommits,
  decodeConfig,
  decodeConversation,
  decodeError,
  decodeSummaries,
  decodeTaskHistory,
  decodeTasks,
  decodeToken,
} from '../protocol/decode';
import type { CommitPage, Config, Conversation, Page, Query, Summary, TaskChange, TaskPage } from '../protocol/types';

/** An HTTP call that did not give what it was made for. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** The server's code, or network, timeout, bad_response. */
  readonly code: string;
  /** 0 without an answer. */
  readonly status: number;
  readonly requestId: string | undefined;
  /** Seconds. */
  readonly retryAfter: number | undefined;

  constructor(code: string, message: string, more: { status?: number; requestId?: string; retryAfter?: number } = {}) {
    super(message);
    this.code = code;
    this.status = more.status ?? 0;
    this.requestId = more.requestId;
    this.retryAfter = more.retryAfter;
  }
}

export interface Token {
  token: string;
  expires_at: string;
}

export interface Api {
  config(): Promise<Config>;
  devToken(userId: string): Promise<Token>;
  conversations(userId: string, q: { after?: string }): Promise<Page<Summary>>;
  messages(userId: string, id: string, q?: { before?: string; limit?: number }): Promise<Conversation>;
  events(userId: string, id: string, after: number): Promise<CommitPage>;
  /** Anything below the person's address. */
  read<T>(decode: (v: unknown) => T, userId: string, path: readonly string[], query?: Query): Promise<T>;
  readText(userId: string, path: readonly string[], query?: Query): Promise<string>;
  tasks(userId: string, q: { after?: string }): Promise<TaskPage>;
  taskHistory(userId: string, taskId: number, q: { after?: string }): Promise<Page<TaskChange>>;
}

/** How long an answer may take. */
const patience = 20_000;

interface Options {
  fetch: typeof fetch;
  /** Gives a token; renew asks for one that differs from the last. */
  token(renew?: boolean): Promise<string>;
  /** A token that had just been renewed was refused as well. */
  refused?(): void;
}

export function createApi(o: Options): Api {
  async function call<T>(
    decode: (v: unknown) => T,
    parts: readonly (string | number)[],
    req: { query?: Query | undefined; body?: unknown; open?: boolean; text?: boolean } = {},
    again = false,
  ): Promise<T> {
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(req.query ?? {})) {
      if (value !== undefined) query.set(key, String(value));
    }
    const url = `/api/${parts.map(encodeURIComponent).join('/')}${query.size > 0 ? `?${query}` : ''}`;
    const headers: Record<string, string> = { Accept: req.text ? '*/*' : 'application/json' };
    if (!req.open) headers.Authorization = `Bearer ${await o.token(again)}`;
    if (req.body !== undefined) headers['Content-Type'] = 'application/json';

    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), patience);
    let res: Response;
    let text: string;
    try {
      res = await o.fetch(url, {
        method: req.body === undefined ? 'GET' : 'POST',
        headers,
        ...(req.body !== undefined && { body: JSON.stringify(req.body) }),
        cache: 'no-store',
        credentials: 'same-origin',
        signal: timeout.signal,
      });
      text = await res.text();
    } catch {
      throw timeout.signal.aborted
        ? new ApiError('timeout', 'The server took too long to answer.')
        : new ApiError('network', 'The server cannot be reached.');
    } finally {
      clearTimeout(timer);
    }

    if (res.status === 401 && !req.open) {
      if (!again) return call(decode, parts, req, true);
      o.refused?.();
    }
    let body: unknown = text;
    try {
      if (!req.text || !res.ok) body = JSON.parse(text);
    } catch {
      body = undefined;
    }
    if (!res.ok) throw refusal(res, body);
    try {
      return decode(body);
    } catch (err) {
      throw new ApiError('bad_response', `The server's answer makes no sense (${String(err)}).`, {
        status: res.status,
      });
    }
  }

  return {
    config: () => call(decodeConfig, ['config'], { open: true }),
    devToken: (user) => call(decodeToken, ['dev', 'token'], { open: true, body: { user_id: user } }),
    conversations: (user, q) =>
      call(decodeSummaries, [user, 'conversations'], { query: { after: q.after, limit: 50 } }),
    messages: (user, id, q = {}) =>
      call(decodeConversation, [user, 'conversations', id, 'messages'], {
        query: { limit: q.limit ?? 60, before: q.before },
      }),
    events: (user, id, after) => call(decodeCommits, [user, 'conversations', id, 'events'], { query: { after } }),
    read: (decode, user, path, query) => call(decode, [user, ...path], { query }),
    readText: (user, path, query) => call(String, [user, ...path], { query, text: true }),
    tasks: (user, q) => call(decodeTasks, [user, 'tasks'], { query: { status: 'all', limit: 200, after: q.after } }),
    taskHistory: (user, task, q) =>
      call(decodeTaskHistory, [user, 'tasks', task, 'history'], { query: { after: q.after } }),
  };
}

function refusal(res: Response, body: unknown): ApiError {
  const wait = Number(res.headers.get('Retry-After') ?? NaN);
  const more = { status: res.status, ...(Number.isFinite(wait) && { retryAfter: wait }) };
  try {
    const { error } = decodeError(body);
    return new ApiError(error.code, error.message, {
      ...more,
      ...(error.request_id !== undefined && { requestId: error.request_id }),
    });
  } catch {
    // A proxy's page, not the server's words.
    const code = res.status === 429 ? 'too_many' : res.status >= 500 ? 'unavailable' : 'bad_response';
    return new ApiError(code, `The server answered with status ${res.status}.`, more);
  }
}
