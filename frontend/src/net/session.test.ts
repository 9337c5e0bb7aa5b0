import { Memory } from '../../test/unit/page';
import { ApiError } from './api';
import { createSession } from './session';

let made: number;
let fail: Error | undefined;
let storage: Memory;

function session() {
  return createSession({
    storage,
    now: () => Date.now(),
    fetchToken: async (user) => {
      await Promise.resolve();
      if (fail) throw fail;
      return { token: `${user}-${++made}`, expires_at: new Date(Date.now() + 600_000).toISOString() };
    },
  });
}

beforeEach(() => {
  jest.useFakeTimers();
  made = 0;
  fail = undefined;
  storage = new Memory();
});
afterEach(() => jest.useRealTimers());

it('remembers who signed in, and no token', async () => {
  expect(session().remembered()).toBeUndefined();
  await session().signIn('ada');
  expect(session().remembered()).toBe('ada');
  expect(JSON.stringify([...storage.items])).not.toContain('ada-1');
});

it('gives the same token until it is about to end', async () => {
  const s = session();
  await s.signIn('ada');
  expect([await s.token(), await s.token()]).toEqual(['ada-1', 'ada-1']);
});

it('[54] renews a minute before the end and tells of it', async () => {
  const s = session();
  await s.signIn('ada');
  const told: string[] = [];
  const stop = s.onRenewed((t) => told.push(t));
  await jest.advanceTimersByTimeAsync(539_000);
  expect(told).toEqual([]);
  await jest.advanceTimersByTimeAsync(1_000);
  expect(told).toEqual(['ada-2']);
  expect(await s.token()).toBe('ada-2');
  stop();
  await jest.advanceTimersByTimeAsync(600_000);
  expect(told).toEqual(['ada-2']);
});

it('tries to renew again while the old token lasts', async () => {
  const s = session();
  await s.signIn('ada');
  const told: string[] = [];
  s.onRenewed((t) => told.push(t));
  fail = new Error('away');
  await jest.advanceTimersByTimeAsync(545_000);
  expect(await s.token()).toBe('ada-1');
  fail = undefined;
  await jest.advanceTimersByTimeAsync(10_000);
  expect(told).toEqual(['ada-2']);
});

it('fetches one token for many who ask at once', async () => {
  const s = session();
  await s.signIn('ada');
  expect(await Promise.all([s.token(true), s.token(true), s.token(true)])).toEqual(['ada-2', 'ada-2', 'ada-2']);
});

it('does not use a token that was refused, or has ended during a sleep', async () => {
  const s = session();
  await s.signIn('ada');
  s.invalidate();
  expect(await s.token()).toBe('ada-2');
  jest.setSystemTime(Date.now() + 3_600_000);
  expect(await s.token()).toBe('ada-3');
});

it('says why somebody could not sign in, and forgets them', async () => {
  const s = session();
  fail = new Error('no');
  await expect(s.signIn('ada')).rejects.toThrow('no');
  expect(s.remembered()).toBeUndefined();
  await expect(s.token()).rejects.toMatchObject({ code: 'unauthenticated' });
});

it('forgets on signing out, also what was on its way', async () => {
  const s = session();
  await s.signIn('ada');
  const late = s.token(true);
  s.signOut();
  await expect(late).rejects.toMatchObject({ code: 'unauthenticated' });
  await expect(s.token()).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(s.remembered()).toBeUndefined();
  await jest.advanceTimersByTimeAsync(3_600_000);
  expect(made).toBe(2);
});

it('works without storage', async () => {
  const refuse = () => {
    throw new Error('refused');
  };
  storage = { getItem: refuse, setItem: refuse, removeItem: refuse } as unknown as Memory;
  const s = session();
  expect(s.remembered()).toBeUndefined();
  await s.signIn('ada');
  expect(await s.token()).toBe('ada-1');
  s.signOut();
});

describe('[54] a sign-in that has ended', () => {
  const no = () => new ApiError('unauthenticated', 'No.', { status: 401 });

  it('is told once, when the issuer refuses to renew it', async () => {
    const s = session();
    await s.signIn('ada');
    let ended = 0;
    s.onEnded(() => ended++);
    fail = no();
    await jest.advanceTimersByTimeAsync(3_600_000);
    expect(ended).toBe(1);
    await expect(s.token()).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(s.remembered()).toBe('ada');
    fail = undefined;
    await s.signIn('ada');
    expect(await s.token()).toBe('ada-2');
  });

  it('is not told while the issuer is only away', async () => {
    const s = session();
    await s.signIn('ada');
    let ended = 0;
    s.onEnded(() => ended++);
    fail = new ApiError('unavailable', 'Later.', { status: 503 });
    await jest.advanceTimersByTimeAsync(590_000);
    expect(ended).toBe(0);
    fail = undefined;
    await jest.advanceTimersByTimeAsync(20_000);
    expect(await s.token()).toBe('ada-2');
  });

  it('is told when the server takes no token', async () => {
    const s = session();
    let ended = 0;
    s.onEnded(() => ended++);
    s.refused();
    expect(ended).toBe(0);
    await s.signIn('ada');
    s.refused();
    s.refused();
    expect(ended).toBe(1);
  });

  it('that never began is not one', async () => {
    const s = session();
    let ended = 0;
    s.onEnded(() => ended++);
    fail = no();
    await expect(s.signIn('ada')).rejects.toThrow('No.');
    expect(ended).toBe(0);
  });
});
