import type { Browser } from 'playwright-core';

import { figure } from '../figures';
import { composerOf, launch, Person, words } from './browser';
import { Server } from './server';

jest.setTimeout(60_000);

let server: Server;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([Server.start({ rate: 60 }), launch()]);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

/** What the README promises a person who waits. */
const budget = { page: 3_000, answer: 1_000 };

it('the page is there within 3 s, and an answer begins within 1 s', async () => {
  const person = await Person.arrive(browser, server);
  const begun = performance.now();
  const page = await person.open(); // with nothing cached, and the sign-in on the way
  const loaded = performance.now() - begun;
  await composerOf(page).fill('/long 30');
  const asked = performance.now();
  await composerOf(page).press('Enter');
  await words(page, 1);
  const answered = performance.now() - asked;
  figure(`the page after ${loaded.toFixed(0)} ms, the first words of an answer after ${answered.toFixed(0)} ms`);
  expect(loaded).toBeLessThan(budget.page);
  expect(answered).toBeLessThan(budget.answer);
  await person.leave();
});
