import type { Browser, CDPSession, Page } from 'playwright-core';

import type { Conversation, Run } from '../../src/protocol/types';
import { answerOf, launch, logOf, Person } from './browser';
import { Script } from './script';
import { Server } from './server';

jest.setTimeout(120_000);

/** A thousand runs are two thousand messages. */
const count = 1000;
const paged = 60;

let server: Server;
let browser: Browser;
let person: Person;
let script: Script;

beforeAll(async () => {
  [server, browser] = await Promise.all([Server.start({ rate: 0 }), launch()]);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});
beforeEach(async () => {
  script = new Script();
  person = await Person.arrive(browser, server, { name: script.memory.user });
  await script.attach(person.context);
});
afterEach(() => person.leave());

const usage = { input_tokens: 1, output_tokens: 1 };

function runAt(i: number): Run {
  const time = new Date(Date.UTC(2026, 2, 1, 8, i)).toISOString();
  return {
    run_id: `run${i}`,
    ...(i > 0 && { parent_id: `run${i - 1}` }),
    n: 1 + i * 3,
    message: { message_id: `m${i}`, text: `Question number ${i}`, time },
    status: 'completed',
    started_at: time,
    ended_at: time,
    steps: [
      {
        step: 1,
        text: `Answer **number ${i}**, with a list:\n\n- one\n- two\n- needle${i % 250 === 0 ? 'x' : ''}`,
        usage,
      },
    ],
    usage,
  };
}

/** A conversation of two thousand messages, of which the server gives sixty runs at a time. */
async function opened(): Promise<Page> {
  const { memory } = script;
  const all = Array.from({ length: count }, (_, i) => runAt(i));
  const state: Conversation = { user_id: memory.user, conversation_id: 'long', n: count * 3, title: 'Long', runs: [] };
  const asked: (string | undefined)[] = [];
  memory.api.messages = (_user, _id, q) => {
    asked.push(q?.before);
    const end = q?.before === undefined ? count : all.findIndex((r) => r.run_id === q.before);
    const runs = all.slice(Math.max(0, end - paged), end);
    return Promise.resolve({ ...state, runs, ...(end > paged && { has_more: true }) });
  };
  script.raw = (f, say) => {
    if (f.type !== 'subscribe') return false;
    say({ type: 'live', conversation_id: 'long', n: count * 3 });
    return true;
  };
  const page = await person.open('/c/long');
  await answerOf(page)
    .getByText(`number ${count - 1}`)
    .waitFor();
  expect(asked).toEqual([undefined]);
  return page;
}

async function cpu(session: CDPSession): Promise<number> {
  const { metrics } = await session.send('Performance.getMetrics');
  return (metrics.find((m) => m.name === 'TaskDuration')?.value ?? 0) * 1000;
}

const elements = (page: Page) => page.evaluate(() => document.querySelectorAll('#messages *').length);

it('[70] [71] two thousand messages open with the newest sixty, few of them drawn', async () => {
  const page = await opened();
  expect(await page.evaluate(() => document.querySelectorAll('[data-row]').length)).toBe(paged);
  const drawn = await elements(page);
  process.stderr.write(`2,000 messages: ${drawn} elements\n`);
  expect(drawn).toBeLessThanOrEqual(500);
  // The end is in view.
  expect(await answerOf(page).isVisible()).toBe(true);
});

it('[70] [71] older messages come as one scrolls up, and what is read stays where it is', async () => {
  const page = await opened();
  await page.mouse.move(600, 400);
  for (let rows = paged; rows < 4 * paged;) {
    await page.mouse.wheel(0, -3000);
    const before = rows;
    rows = await page.evaluate(() => document.querySelectorAll('[data-row]').length);
    if (rows > before) {
      // What stands in the middle of the view is where it was before the next frames.
      const moved = await page.evaluate(async () => {
        const box = document.querySelector('#messages')!.getBoundingClientRect();
        const on = document
          .elementFromPoint(box.left + box.width / 2, box.top + box.height / 2)!
          .closest('[data-row]')!;
        const top = on.getBoundingClientRect().top;
        for (let i = 0; i < 10; i++) await new Promise(requestAnimationFrame);
        return Math.abs(on.getBoundingClientRect().top - top);
      });
      expect(moved).toBeLessThan(40);
    }
  }
  expect(await elements(page)).toBeLessThanOrEqual(900);
});

it('[71] the page finds what the browser cannot see', async () => {
  const page = await opened();
  await page.keyboard.press('Control+f');
  const field = page.getByRole('textbox', { name: 'Find in this conversation' });
  await field.fill('needlex');
  // All thousand have to be read for the oldest.
  await page.getByText('4 of 4', { exact: true }).waitFor({ timeout: 60_000 });
  await logOf(page).locator('[data-row=run750]').getByText('needlex').waitFor();
  for (const run of ['run500', 'run250', 'run0']) {
    await page.keyboard.press('Shift+Enter');
    const hit = logOf(page).locator(`[data-row=${run}]`).getByText('needlex');
    await hit.waitFor();
    await page.waitForFunction((id) => {
      const box = document.querySelector(`[data-row=${id}]`)!.getBoundingClientRect();
      return box.bottom > 0 && box.top < innerHeight;
    }, run);
  }
  await page.keyboard.press('Escape');
  await field.waitFor({ state: 'detached' });
  // Without a long transcript Ctrl+F is the browser's.
  await page.getByRole('button', { name: 'New chat' }).first().click();
  await page.waitForURL((url) => url.pathname === '/');
  await page.keyboard.press('Control+f');
  expect(await field.count()).toBe(0);
});

it('[71] writing inside two thousand messages stays within its budget of CPU', async () => {
  const page = await opened();
  const session = await person.context.newCDPSession(page);
  await session.send('Performance.enable');
  const time = new Date().toISOString();
  const say = (frame: object) => script.say(JSON.stringify(frame));
  const n = count * 3 + 1;
  const commit = {
    v: 1,
    conversation_id: 'long',
    user_id: script.memory.user,
    n,
    commit_id: 'x',
    cause: 'x',
    by: 'user',
    time,
    events: [
      { type: 'message.accepted', message_id: 'mx', run_id: 'runx', text: 'More', parent_id: `run${count - 1}` },
      { type: 'run.started', run_id: 'runx', message_id: 'mx', model: 'demo', deadline: '2026-12-01T00:00:00Z' },
      {
        type: 'step.started',
        run_id: 'runx',
        step: 1,
        attempt: 1,
        lease: { stream: 'INBOX', sequence: 1, delivery: 1 },
        worker: 'w',
      },
    ],
  };
  say({ type: 'commit', conversation_id: 'long', n, commit });
  await logOf(page).getByText('More', { exact: true }).waitFor();
  const before = await cpu(session);
  let offset = 0;
  for (let i = 0; i < 1000; i++) {
    const text = i % 40 === 39 ? `word${i}.\n\n` : `word${i} `;
    say({ type: 'delta', conversation_id: 'long', run_id: 'runx', step: 1, attempt: 1, offset, text });
    offset += text.length;
    // A hundred a second, as a model writes.
    if (i % 5 === 4) await page.waitForTimeout(50);
  }
  await answerOf(page).getByText('word999').waitFor();
  const spent = (await cpu(session)) - before;
  process.stderr.write(`1,000 tokens inside 2,000 messages: ${spent.toFixed(0)} ms of CPU\n`);
  expect(spent).toBeLessThan(1300);
});
