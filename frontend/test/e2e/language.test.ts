import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';

import { answerOf, ended, launch, Person } from './browser';
import { Server } from './server';

jest.setTimeout(60_000);

let server: Server;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([Server.start({ rate: 0 }), launch()]);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

const composer = (page: Page) => page.getByRole('textbox', { name: 'Nachricht an Parley' });

/** Files of the page that were fetched. */
async function visit(locale: string): Promise<{ person: Person; page: Page; files: () => string[] }> {
  const person = await Person.arrive(browser, server, { locale });
  const files: string[] = [];
  person.context.on('request', (r) => files.push(new URL(r.url()).pathname));
  const page = await person.context.newPage();
  await page.goto('/');
  return { person, page, files: () => files };
}

const german = /^\/assets\/german-.*\.js$/;

it('[65] a German browser gets a German page, from a chunk that others never fetch', async () => {
  const { person, page, files } = await visit('de-AT');
  await page.getByRole('button', { name: 'Weiter als ana' }).click();
  await composer(page).fill('Add a task to buy groceries');
  await composer(page).press('Enter');
  await ended(page);
  await answerOf(page).getByText('„Buy groceries“ hinzugefügt').waitFor();
  expect(await page.locator('html').getAttribute('lang')).toBe('de');
  expect(files().filter((f) => german.test(f))).toHaveLength(1);
  if (process.env.PARLEY_SHOTS) await page.screenshot({ path: join(process.env.PARLEY_SHOTS, 'german.png') });

  // What somebody chooses counts more than what the browser says, and is kept.
  await page.getByRole('button', { name: 'Konto und Einstellungen' }).click();
  await page
    .getByRole('menuitemradio', { name: 'English' })
    .or(page.getByRole('menuitem', { name: 'English' }))
    .first()
    .click();
  await page.getByRole('textbox', { name: 'Message Parley' }).waitFor();
  expect(await page.locator('html').getAttribute('lang')).toBe('en');
  await page.reload();
  await page.getByRole('textbox', { name: 'Message Parley' }).waitFor();
  await person.leave();
});

it('[65] everybody else gets English, and no byte of German', async () => {
  const { person, page, files } = await visit('fr-FR');
  await page.getByRole('button', { name: 'Continue as ana' }).click();
  await page.getByRole('textbox', { name: 'Message Parley' }).waitFor();
  expect(files().filter((f) => german.test(f))).toEqual([]);
  expect(files().some((f) => f.startsWith('/assets/'))).toBe(true);
  await person.leave();
});
