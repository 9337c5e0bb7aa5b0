import { readFile } from 'node:fs/promises';

import type { Browser, Page } from 'playwright-core';

import type { Commit } from '../../src/protocol/types';
import { composerOf, ended, idOf, launch, logOf, Person, say, words } from './browser';
import { Server } from './server';

jest.setTimeout(90_000);

let server: Server;
let browser: Browser;
let person: Person;

beforeAll(async () => {
  [server, browser] = await Promise.all([Server.start({ rate: 400 }), launch()]);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});
beforeEach(async () => {
  person = await Person.arrive(browser, server);
});
afterEach(() => person.leave());

interface Said {
  conversation_id: string;
  message_id: string;
  run_id: string;
}

/** Says something by the door that every other client uses, and waits for the answer. */
async function tell(user: string, message: string, conversation_id?: string): Promise<Said> {
  const json = { 'Content-Type': 'application/json' };
  const body = JSON.stringify({ user_id: user });
  const issued = await fetch(`${server.url}/api/dev/token`, { method: 'POST', headers: json, body });
  const { token } = (await issued.json()) as { token: string };
  const res = await fetch(`${server.url}/api/${user}/chat`, {
    method: 'POST',
    headers: { ...json, Authorization: `Bearer ${token}` },
    body: JSON.stringify({ message, conversation_id }),
  });
  if (!res.ok) throw new Error(`chat: ${res.status} ${await res.text()}`);
  return (await res.json()) as Said;
}

/** A conversation longer than the page reads at first; its third message is about a heron. */
async function long(user: string): Promise<{ id: string; heron: Said }> {
  const { conversation_id: id } = await tell(user, '/long 3');
  await tell(user, '/long 4', id);
  const heron = await tell(user, 'What does a heron eat?', id);
  for (let i = 0; i < 66; i++) await tell(user, `/long ${5 + (i % 40)}`, id);
  return { id, heron };
}

const sidebar = (page: Page) => page.getByRole('navigation', { name: 'Conversations' });
const found = (page: Page) => page.getByRole('region', { name: 'Search results' });
const inView = (page: Page, id: string) =>
  page.waitForFunction((message) => {
    const el = document.querySelector(`[data-message="${message}"], [data-run="${message}"]`);
    const box = el?.getBoundingClientRect();
    // The page itself stays where it is: only the list scrolls.
    const still = document.body.scrollTop === 0 && document.documentElement.scrollTop === 0;
    const list = document.querySelector('.transcript')?.getBoundingClientRect();
    return still && box && list && el === document.activeElement && box.top >= list.top && box.bottom <= list.bottom;
  }, id);

async function choose(page: Page, title: string | RegExp, item: string) {
  await page.getByRole('main').getByRole('button', { name: title }).click();
  await page.getByRole('menuitem', { name: item, exact: true }).click();
}

it('[43] [45] a search finds an old message, marks it and opens it; Back and Forward go where one was', async () => {
  const { id, heron } = await long(person.name);
  await tell('somebody-else', 'What does a heron eat?');
  const page = await person.open();
  await say(page, '/long 6');
  await ended(page);
  const first = page.url();

  await page.keyboard.press('Control+k');
  await page.waitForFunction(() => document.activeElement instanceof HTMLInputElement);
  await page.keyboard.type('HERÓN eat');
  const hit = found(page).getByRole('link', { name: /^You: What does a heron eat/ });
  await hit.waitFor();
  expect(await found(page).getByRole('link', { name: /heron/i }).locator('mark').allTextContents()).toEqual(
    expect.arrayContaining(['heron', 'eat']),
  );
  // What the other person said is not found.
  expect(await found(page).getByRole('link', { name: /^You:/ }).count()).toBe(1);
  await hit.click();
  expect(new URL(page.url()).pathname).toBe(`/c/${id}`);
  await inView(page, heron.message_id);
  const address = page.url();

  await page.goBack();
  expect(page.url()).toBe(first);
  await logOf(page).getByText('/long 6', { exact: true }).waitFor();
  await page.goForward();
  expect(page.url()).toBe(address);
  await inView(page, heron.message_id);

  // The same address in a new tab, and that of the answer.
  const other = await person.open(address);
  await inView(other, heron.message_id);
  await other.goto(`/c/${id}?m=${heron.run_id}`);
  await inView(other, heron.run_id);
});

it('[43] the newest message is brought into view as well, and the page stays where it is', async () => {
  const { conversation_id: id } = await tell(person.name, '/long 300');
  const last = await tell(person.name, 'Who counts herons?', id);
  const page = await person.open(`/c/${id}?m=${last.message_id}`);
  await inView(page, last.message_id);
});

it('[43] an address of nothing, of nobody and of somebody else is told apart from one that waits', async () => {
  const theirs = await tell('somebody-else', 'Mine alone');
  const page = await person.open();
  person.expected = /404/;
  for (const path of [
    '/c/nothing',
    `/c/${theirs.conversation_id}`,
    `/c/${theirs.conversation_id}?m=${theirs.message_id}`,
  ]) {
    await page.goto(path);
    await page.getByText('This conversation does not exist, or it is not yours.').waitFor();
    expect(await page.getByText('Mine alone').count()).toBe(0);
    expect(await page.title()).toBe('There is nothing here · Parley');
  }
  await page.goto('/elsewhere');
  await page.getByText('This address leads nowhere.').waitFor();
  await page.getByRole('button', { name: 'Start a new chat' }).click();
  await composerOf(page).waitFor();
});

it('[44] a name given by hand stays, and is at once in the other tab', async () => {
  const page = await person.open();
  await say(page, '/long 400');
  await words(page, 3);
  const other = await person.open(`/c/${idOf(page)}`);
  await choose(page, /^More about/, 'Rename');
  await page.getByRole('textbox', { name: 'Title of the conversation' }).fill('By hand');
  await page.keyboard.press('Enter');
  await sidebar(other)
    .getByRole('link', { name: /By hand/ })
    .waitFor();
  await other.getByRole('heading', { level: 1, name: 'By hand' }).waitFor();
  await ended(page);
  await say(page, '/long 3');
  await ended(page);
  const log = await person.log(page);
  expect(log.title).toBe('By hand');
  expect(log.title_by).toBe('user');
});

it('[46] [49] a deletion hides at once, here and in the other tab, and is undone in both', async () => {
  const page = await person.open();
  await say(page, '/long 12');
  await ended(page);
  const id = idOf(page);
  const other = await person.open(`/c/${id}`);
  await choose(page, /^More about/, 'Delete');
  await page.waitForURL(server.url + '/');
  await other.getByRole('heading', { name: 'This conversation was deleted' }).waitFor();
  expect(await sidebar(page).locator(`a[href="/c/${id}"]`).count()).toBe(0);
  await page.getByRole('button', { name: 'Undo' }).click();
  await sidebar(page).locator(`a[href="/c/${id}"]`).waitFor();
  await logOf(other).getByText('/long 12').waitFor();
  await sidebar(other).locator(`a[href="/c/${id}"]`).waitFor();
});

it('[47] a reply that ends elsewhere has a dot in the list and a word in the title of the tab', async () => {
  const { conversation_id: quiet } = await tell(person.name, '/long 3');
  const page = await person.open();
  await say(page, '/long 600');
  await words(page, 3);
  const busy = idOf(page);
  await sidebar(page).locator(`a[href="/c/${quiet}"]`).click();
  await page.waitForFunction(() => document.title.startsWith('● Reply ready'));
  await sidebar(page).locator(`a[href="/c/${busy}"]`).getByText('new reply').waitFor();
  await sidebar(page).locator(`a[href="/c/${busy}"]`).click();
  await page.waitForFunction(() => !document.title.includes('Reply ready'));
});

it('[48] [49] pinned and archived in one tab, it is so in the other, and after a reload', async () => {
  const { conversation_id: id } = await tell(person.name, '/long 3');
  const page = await person.open(`/c/${id}`);
  const other = await person.open();
  await choose(page, /^More about/, 'Pin');
  await other.getByRole('region', { name: 'Pinned' }).locator(`a[href="/c/${id}"]`).waitFor();
  await choose(page, /^More about/, 'Archive');
  await sidebar(other).locator(`a[href="/c/${id}"]`).waitFor({ state: 'detached' });
  await other.reload();
  await sidebar(other).getByRole('button', { name: 'Archived' }).click();
  await sidebar(other).locator(`a[href="/c/${id}"]`).click();
  await logOf(other).getByText('/long 3').waitFor();
  await say(other, '/long 2'); // which takes it back
  await sidebar(page).locator(`a[href="/c/${id}"]`).waitFor();
});

it('[48] it is exported whole as Markdown and as its events', async () => {
  const { id } = await long(person.name);
  const page = await person.open(`/c/${id}`);
  const save = async (item: string) => {
    const [download] = await Promise.all([page.waitForEvent('download'), choose(page, /^More about/, item)]);
    return { name: download.suggestedFilename(), text: await readFile(await download.path(), 'utf8') };
  };
  const markdown = await save('Export as Markdown');
  expect(markdown.name).toMatch(/\.md$/);
  expect(markdown.text).toContain('What does a heron eat?');
  expect(markdown.text.match(/\/long \d+/g)?.length).toBeGreaterThanOrEqual(68);
  const lines = await save('Export as JSON lines');
  const commits = lines.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Commit);
  expect(commits.map((c) => c.n)).toEqual(commits.map((_, i) => i + 1));
});

it('[48] paper has all of it, and nothing that one presses', async () => {
  const { id } = await long(person.name);
  const page = await person.open(`/c/${id}`);
  await logOf(page).locator('[data-run]').last().waitFor();
  expect(await logOf(page).getByText('What does a heron eat?').count()).toBe(0);
  await page.evaluate(() => {
    window.print = () => undefined; // the dialog of the system
  });
  await choose(page, /^More about/, 'Print');
  await page.locator('.sheet-of-paper').waitFor({ state: 'attached' });
  await page.emulateMedia({ media: 'print' });
  const paper = page.locator('.sheet-of-paper');
  await paper.getByText('What does a heron eat?').waitFor();
  expect(await paper.getByRole('heading', { level: 2 }).count()).toBe(2 * 69);
  expect(await page.locator('#root').isVisible()).toBe(false);
  expect(await paper.getByRole('button').count()).toBe(0);
  await page.emulateMedia({ media: 'screen' });
  expect(await paper.isVisible()).toBe(false);
  await page.evaluate(() => void window.dispatchEvent(new Event('afterprint')));
  expect(await paper.count()).toBe(0);
});
