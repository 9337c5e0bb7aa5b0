import type { Browser, Page } from 'playwright-core';

import { answerOf, composerOf, ended, launch, logOf, Person, say } from '../e2e/browser';
import { ScriptedModel } from '../e2e/model';
import { Server } from '../e2e/server';
import { figure } from '../figures';
import { tokens } from './texts';
import { cost, heap, type Cost } from './trace';
import { slowness } from './yardstick';

jest.setTimeout(180_000);

const budget = {
  /** Streaming of 1,000 tokens at 100 a second. */
  stream: { cpu: 1_300, longest: 50, slowShare: 0.01 },
  /** Opening a conversation of 2,000 messages. */
  open: { cpu: 150, elements: 500, heap: 40 << 20 },
};

const short = 'Yes: it is **done**, and the `log` says so.';

let model: ScriptedModel;
let server: Server;
let browser: Browser;
let person: Person;

beforeAll(async () => {
  model = await ScriptedModel.start((said) =>
    said === 'Tell me everything' ? { pieces: tokens(1000), rate: 100 } : { pieces: [short] },
  );
  [server, browser] = await Promise.all([Server.start({ model: model.url }), launch()]);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
  await model.stop();
});
beforeEach(async () => {
  person = await Person.arrive(browser, server);
});
afterEach(() => person.leave());

type Calm = Cost & { slowness: number };

/** What some work costs the page on a calm machine: what it takes here, divided by how slow this one is meanwhile. */
async function calmly(page: Page, work: () => Promise<void>): Promise<Calm> {
  const before = await slowness(browser, person.context);
  const c = await cost(browser, page, work);
  const mean = (before + (await slowness(browser, person.context))) / 2;
  return { ...c, cpu: c.cpu / mean, slowness: mean };
}

/** Streams an answer, again if that was dear: whatever else goes on can only add to what a page costs. */
async function leastOfThree(page: Page): Promise<Calm> {
  let least = await calmly(page, () => stream(page));
  for (let again = 0; again < 2 && least.cpu >= budget.stream.cpu; again++) {
    const next = await calmly(page, () => stream(page));
    if (next.cpu < least.cpu) least = next;
  }
  return least;
}

function judgeStream(what: string, c: Calm) {
  figure(
    `${what}: ${c.cpu.toFixed(0)} ms of processor time (on this machine ${c.slowness.toFixed(2)} times as much), ` +
      `longest task ${c.longest.toFixed(1)} ms, ${c.slow} of ${c.tasks} tasks over 12.5 ms`,
  );
  expect(c.cpu).toBeLessThan(budget.stream.cpu);
  expect(c.longest).toBeLessThan(budget.stream.longest);
  expect(c.slow / c.tasks).toBeLessThanOrEqual(budget.stream.slowShare);
}

/**
 * Sends a message and waits for the whole answer. Looks twice a second: playwright's own way of waiting asks for every
 * frame of the page, which then costs more than the streaming does.
 */
async function stream(page: Page): Promise<void> {
  const before = await answerOf(page).getAttribute('data-run');
  await say(page, 'Tell me everything');
  await page.waitForFunction(
    (last) => {
      const run = [...document.querySelectorAll('[role=log] [data-run]')].at(-1);
      return run?.getAttribute('data-run') !== last && run?.getAttribute('data-status') === 'completed';
    },
    before,
    { polling: 500, timeout: 30_000 },
  );
}

/** Makes a conversation of so many messages, by the door that every program has. */
async function conversation(messages: number): Promise<string> {
  let id: string | undefined;
  for (let i = 0; i < messages / 2; i++) id = await server.chat(person.name, `Is number ${i} done?`, id);
  if (id === undefined) throw new Error('no messages');
  return id;
}

it('[14] 1,000 tokens at 100 a second stay within the budget of the main thread', async () => {
  const page = await person.open();
  await say(page, 'Hello');
  await ended(page);
  const c = await leastOfThree(page);
  expect((await answerOf(page).innerText()).length).toBeGreaterThan(3_000);
  judgeStream('1,000 tokens streamed', c);
});

it('[71] 2,000 messages open within the budget, and an answer streams among them', async () => {
  const page = await person.open();
  const id = await conversation(2_000);
  // The code is there and warm, as for anybody who goes from one conversation to another.
  await say(page, 'Hello');
  await ended(page);
  const link = page.getByRole('navigation', { name: 'Conversations' }).locator(`a[href^="/c/${id}"]`);
  await link.waitFor();
  const opening = await calmly(page, async () => {
    await link.click();
    await logOf(page).getByText('Is number 999 done?').waitFor();
    await composerOf(page).waitFor();
    await page.evaluate(() => new Promise((idle) => requestIdleCallback(idle)));
  });
  const elements = await page.evaluate(() => document.querySelectorAll('[role=log] *').length);
  const used = await heap(page);
  figure(
    `2,000 messages opened: ${opening.cpu.toFixed(0)} ms of processor time, longest task ${opening.longest.toFixed(1)} ms, ` +
      `${elements} elements, heap ${(used / (1 << 20)).toFixed(1)} MB`,
  );
  expect(opening.cpu).toBeLessThan(budget.open.cpu);
  expect(elements).toBeLessThanOrEqual(budget.open.elements);
  expect(used).toBeLessThan(budget.open.heap);

  const streaming = await leastOfThree(page);
  judgeStream('1,000 tokens streamed among 2,000 messages', streaming);
});
