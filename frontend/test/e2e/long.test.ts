import type { Browser, Page } from 'playwright-core';

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

const elements = (page: Page) => page.evaluate(() => document.querySelectorAll('#messages *').length);

it('[70] [71] two thousand messages open with the newest sixty, few of them drawn', async () => {
  const page = await opened();
  expect(await page.evaluate(() => document.querySelectorAll('[data-row]').length)).toBe(paged);
  const drawn = await elements(page);
  expect(drawn).toBeLessThanOrEqual(500);
  // The end is in view.
  expect(await answerOf(page).isVisible()).toBe(true);
});

it('[70] [71] older messages come as one scrolls up, and what is read moves as far as the wheel says', async () => {
  const page = await opened();
  await page.mouse.move(600, 400);
  const step = 400;
  const rows = () => page.locator('[data-row]').count();
  const jumps: number[] = [];
  while ((await rows()) < 3 * paged) {
    const before = await page.evaluate(() => {
      const list = document.querySelector('#messages')!;
      const box = list.getBoundingClientRect();
      const on = [...document.querySelectorAll<HTMLElement>('[data-row]')].find(
        (el) => el.getBoundingClientRect().bottom > box.top + 100,
      )!;
      return { row: on.dataset.row, top: on.getBoundingClientRect().top, room: list.scrollTop };
    });
    await page.mouse.wheel(0, -step);
    const moved = await page.evaluate(async ({ row, top }) => {
      const at = () => document.querySelector(`[data-row=${row}]`)!.getBoundingClientRect().top - top;
      // Until it has stood still for some frames.
      for (let still = 0, last = at(); still < 10;) {
        await new Promise(requestAnimationFrame);
        still = at() === last ? still + 1 : 0;
        last = at();
      }
      return at();
    }, before);
    // Near the top, which comes nearer when what is drawn is lower than it was taken to be, it may move less.
    if (moved > step + 2 || moved < (before.room > 2 * step ? step : 0) - 2) jumps.push(moved);
  }
  expect(jumps).toEqual([]);
  expect(await elements(page)).toBeLessThanOrEqual(1500);
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
