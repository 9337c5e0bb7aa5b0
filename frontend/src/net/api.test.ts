import { ApiError, createApi } from './api';

interface Sent {
  url: string;
  method: string;
  headers: Record<string, string>;
  body: string | undefined;
}

let sent: Sent[];
let tokens: (boolean | undefined)[];

/** An API on a network that answers as told, in order. */
function api(...answers: (Answer | Error | 'never')[]) {
  sent = [];
  tokens = [];
  return createApi({
    token(renew) {
      tokens.push(renew);
      return Promise.resolve(renew ? 'new' : 'old');
    },
    fetch(url, init) {
      sent.push({
        url: url as string,
        method: init?.method ?? 'GET',
        headers: init?.headers as Record<string, string>,
        body: init?.body as string | undefined,
      });
      const a = answers.shift();
      if (a === 'never' || a === undefined) {
        return new Promise((_, reject) => init?.signal?.addEventListener('abort', () => reject(new Error('aborted'))));
      }
      if (a instanceof Error) return Promise.reject(a);
      return Promise.resolve({
        ok: a.status < 400,
        status: a.status,
        headers: new Headers(a.headers),
        text: () => Promise.resolve(typeof a.body === 'string' ? a.body : JSON.stringify(a.body)),
      } as Response);
    },
  });
}

interface Answer {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

const ok = (body: unknown): Answer => ({ status: 200, body });
const config = {
  server_version: 'v1',
  auth: { mode: 'dev' },
  model: { name: 'm', label: 'M', demo: true },
  limits: { message_chars: 8000 },
};
const empty = { data: [], has_more: false };

it('asks for the configuration without a token', async () => {
  expect(await api(ok(config)).config()).toEqual(config);
  expect(sent[0]).toMatchObject({ url: '/api/config', method: 'GET' });
  expect(sent[0]?.headers).not.toHaveProperty('Authorization');
});

it('asks for a token by name', async () => {
  const token = { token: 't', expires_at: '2026-03-14T10:00:00Z' };
  expect(await api(ok(token)).devToken('ada')).toEqual(token);
  expect(sent[0]).toMatchObject({ url: '/api/dev/token', method: 'POST', body: '{"user_id":"ada"}' });
});

it.each([
  [
    'conversations',
    (a: ReturnType<typeof api>) => a.conversations('ada', { after: 'x' }),
    empty,
    '/api/ada/conversations?after=x&limit=50',
  ],
  [
    'conversations plain',
    (a: ReturnType<typeof api>) => a.conversations('ada', {}),
    empty,
    '/api/ada/conversations?limit=50',
  ],
  [
    '[45] what a lazy view asks for',
    (a: ReturnType<typeof api>) => a.read((v) => v, 'ada', ['search'], { q: 'a & b', after: undefined }),
    empty,
    '/api/ada/search?q=a+%26+b',
  ],
  [
    'messages',
    (a: ReturnType<typeof api>) => a.messages('a/b', 'c', { before: 'r' }),
    { user_id: 'a', conversation_id: 'c', n: 0, runs: [] },
    '/api/a%2Fb/conversations/c/messages?limit=60&before=r',
  ],
  [
    'events',
    (a: ReturnType<typeof api>) => a.events('ada', 'c', 7),
    { ...empty, after: 7 },
    '/api/ada/conversations/c/events?after=7',
  ],
  [
    'tasks',
    (a: ReturnType<typeof api>) => a.tasks('ada', {}),
    { ...empty, task_rev: 3 },
    '/api/ada/tasks?status=all&limit=200',
  ],
  [
    'task history',
    (a: ReturnType<typeof api>) => a.taskHistory('ada', 5, { after: 'z' }),
    empty,
    '/api/ada/tasks/5/history?after=z',
  ],
])('reads %s', async (_, call, body, url) => {
  expect(await call(api(ok(body)))).toEqual(body);
  expect(sent).toMatchObject([{ url, headers: { Authorization: 'Bearer old' } }]);
});

it('[54] renews the token once when it is refused, and says when that was in vain', async () => {
  const refused = { status: 401, body: { error: { code: 'token_expired', message: 'Old.' } } };
  expect(await api(refused, ok({ ...empty, task_rev: 0 })).tasks('ada', {})).toMatchObject(empty);
  expect(tokens).toEqual([false, true]);
  await expect(api(refused, refused).tasks('ada', {})).rejects.toMatchObject({ code: 'token_expired', status: 401 });
  expect(sent).toHaveLength(2);
});

it.each<[string, Answer | Error, object]>([
  [
    "the server's words",
    {
      status: 503,
      body: { error: { code: 'draining', message: 'Soon.', request_id: 'r1' } },
      headers: { 'Retry-After': '3' },
    },
    { code: 'draining', message: 'Soon.', requestId: 'r1', retryAfter: 3, status: 503 },
  ],
  ['a proxy', { status: 502, body: '<html>' }, { code: 'unavailable', status: 502 }],
  ['too many requests', { status: 429, body: '' }, { code: 'too_many', status: 429 }],
  ['another refusal without words', { status: 418, body: 'teapot' }, { code: 'bad_response', status: 418 }],
  ['no network', new TypeError('Failed to fetch'), { code: 'network', status: 0 }],
  ['an answer that is not JSON', { status: 200, body: '<html>' }, { code: 'bad_response' }],
  ['an answer with a hole in it', ok({ data: [{}], has_more: false, task_rev: 1 }), { code: 'bad_response' }],
])('tells of %s', async (_, answer, want) => {
  const err: unknown = await api(answer)
    .tasks('ada', {})
    .catch((e: unknown) => e);
  expect(err).toBeInstanceOf(ApiError);
  expect(err).toMatchObject(want);
});

it('gives up after 20 s', async () => {
  jest.useFakeTimers();
  const result = api('never')
    .config()
    .catch((e: unknown) => e);
  await jest.advanceTimersByTimeAsync(20_000);
  expect(await result).toMatchObject({ code: 'timeout' });
  jest.useRealTimers();
});

it('[48] gives a file as it is, and the words of a refusal', async () => {
  const text = await api(ok('# Trip\n')).readText('ada', ['conversations', 'c', 'export'], { format: 'markdown' });
  expect(text).toBe('# Trip\n');
  expect(sent[0]).toMatchObject({ url: '/api/ada/conversations/c/export?format=markdown', headers: { Accept: '*/*' } });
  const refused = { status: 404, body: { error: { code: 'not_found', message: 'No such conversation.' } } };
  await expect(api(refused).readText('ada', ['conversations', 'x', 'export'])).rejects.toMatchObject({
    code: 'not_found',
    message: 'No such conversation.',
  });
});
