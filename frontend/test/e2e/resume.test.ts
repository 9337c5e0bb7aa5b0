import type { Browser, Page } from 'playwright-core';

import { composerOf, ended, launch, logOf, Person, say, words } from './browser';
import { Server } from './server';

jest.setTimeout(120_000);

/** What Chromium says of a server that is away. */
const outage = /ERR_CONNECTION_(REFUSED|RESET)|ERR_EMPTY_RESPONSE|WebSocket connection/;

let server: Server;
let browser: Browser;
let person: Person;
let page: Page;

beforeAll(async () => {
  [server, browser] = await Promise.all([Server.start({ rate: 20 }), launch()]);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});
beforeEach(async () => {
  person = await Person.arrive(browser, server);
  page = await person.open();
});
afterEach(() => person.leave());

it('[50] [51] an answer outlives the death of the server in the middle of it', async () => {
  await say(page, '/long 80');
  await words(page, 10);
  person.expected = outage;
  await server.kill();
  await page.getByText(/Reconnecting/).waitFor();
  await server.run();
  await ended(page);
  person.expected = undefined;
  const shown = await words(page, 80);
  const { runs } = await person.log(page);
  expect(runs).toHaveLength(1);
  expect(shown).toEqual(runs[0]?.steps?.flatMap((s) => s.text.split(/\s+/).filter(Boolean)));
  expect(shown).toHaveLength(80);
  await page.getByText(/Reconnecting/).waitFor({ state: 'detached' });
});

it('[4] [7] [53] messages written without a connection wait in order and are stored once', async () => {
  await say(page, '/long 5');
  await ended(page);
  person.expected = outage;
  await server.kill();
  await page.getByText(/Reconnecting/).waitFor();
  for (const text of ['/long 6', '/long 7', '/long 8']) await say(page, text);
  await logOf(page).getByText('/long 8').waitFor();
  await composerOf(page).fill('still typing');
  const question = page.waitForEvent('dialog');
  await page.close({ runBeforeUnload: true });
  expect((await question).type()).toBe('beforeunload');
  await (await question).dismiss();
  await server.run();
  await page.waitForFunction(() => document.querySelectorAll('[data-run][data-status=completed]').length === 4);
  person.expected = undefined;
  const { runs } = await person.log(page);
  expect(runs.map((r) => r.message.text)).toEqual(['/long 5', '/long 6', '/long 7', '/long 8']);
  expect(await composerOf(page).inputValue()).toBe('still typing');
});
