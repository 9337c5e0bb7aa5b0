import type { Browser, Page } from 'playwright-core';

import { composerOf, ended, launch, logOf, Person, say, stopOf, words } from './browser';
import { Server } from './server';

jest.setTimeout(60_000);

let server: Server;
let browser: Browser;
let person: Person;
let page: Page;

beforeAll(async () => {
  [server, browser] = await Promise.all([Server.start({ rate: 60 }), launch()]);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});
beforeEach(async () => {
  person = await Person.arrive(browser, server, { permissions: ['clipboard-read', 'clipboard-write'] });
  page = await person.open();
});
afterEach(() => person.leave());

const boxOf = () => composerOf(page).evaluate((el) => el.getBoundingClientRect().toJSON() as DOMRect);
const pasted = () => page.getByRole('list', { name: 'Pasted texts' });

/** Pastes as a person does: through the clipboard and the keys. */
async function paste(text: string) {
  await page.evaluate((t) => navigator.clipboard.writeText(t), text);
  await composerOf(page).press('Control+v');
}

it('[2] the Enter that ends a composition sends nothing, the next one does', async () => {
  await composerOf(page).focus();
  const keys = await page.context().newCDPSession(page);
  await keys.send('Input.imeSetComposition', { text: 'にほん', selectionStart: 3, selectionEnd: 3 });
  expect(await composerOf(page).inputValue()).toBe('にほん');
  // While an input method is at work Chromium gives every key this code.
  await keys.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', key: 'Enter', windowsVirtualKeyCode: 229 });
  await keys.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', key: 'Enter', windowsVirtualKeyCode: 13 });
  await keys.send('Input.insertText', { text: '日本' });
  expect(await composerOf(page).inputValue()).toBe('日本');
  expect(await logOf(page).count()).toBe(0);
  await composerOf(page).press('Enter');
  await logOf(page).getByText('日本', { exact: true }).waitFor();
});

it('[3] the box grows to 40 % of the height, then scrolls, and stands where it stood after sending', async () => {
  const empty = await boxOf();
  const lines = Array.from({ length: 6 }, (_, i) => `line ${i}`);
  await composerOf(page).fill(lines.join('\n'));
  const some = await boxOf();
  expect(some.height).toBeGreaterThan(empty.height * 3);
  expect(some.bottom).toBe(empty.bottom);
  await composerOf(page).fill(Array.from({ length: 60 }, (_, i) => `line ${i}`).join('\n'));
  const full = await boxOf();
  expect(full.height).toBeCloseTo(800 * 0.4, 0);
  expect(await composerOf(page).evaluate((el) => el.scrollHeight > el.clientHeight)).toBe(true);
  await say(page, '/long 200');
  expect(await boxOf()).toMatchObject({ top: empty.top, height: empty.height });
  await stopOf(page).waitFor();
  expect(await boxOf()).toMatchObject({ top: empty.top, height: empty.height });
  await composerOf(page).fill('typed meanwhile');
  expect(await boxOf()).toMatchObject({ top: empty.top, height: empty.height });
  await ended(page);
  expect(await boxOf()).toMatchObject({ top: empty.top, height: empty.height });
  expect(await composerOf(page).inputValue()).toBe('typed meanwhile');
});

it('[11] a long text that is pasted is a block, and is stored as it was', async () => {
  const text = Array.from({ length: 300 }, (_, i) => `note ${i}: 日本`).join('\n');
  await composerOf(page).fill('/long 5');
  await paste(text);
  await pasted()
    .getByText(`Pasted, ${text.length.toLocaleString('en')} characters`)
    .waitFor();
  expect(await composerOf(page).inputValue()).toBe('/long 5');
  await page.reload();
  await pasted().waitFor();
  await composerOf(page).press('Enter');
  await ended(page);
  expect((await person.log(page)).runs[0]?.message.text).toBe(`/long 5\n\n${text}`);
  expect(await pasted().count()).toBe(0);
});

it('[11] a book that is pasted is counted and refused, and typing goes on', async () => {
  await paste('word '.repeat(400_000));
  await page.getByText('1,992,000 characters too many').waitFor();
  await page.keyboard.type('and more');
  expect(await composerOf(page).inputValue()).toBe('and more');
  expect(await page.getByRole('button', { name: 'Send', exact: true }).isDisabled()).toBe(true);
  await page.getByRole('button', { name: 'Remove the pasted text' }).click();
  await composerOf(page).press('Enter');
  await ended(page);
});

it('[13] up in an empty box edits the last message', async () => {
  await say(page, '/long 5');
  await ended(page);
  await composerOf(page).press('ArrowUp');
  await page.getByText(/^Editing your message/).waitFor();
  expect(await composerOf(page).inputValue()).toBe('/long 5');
  await page.keyboard.press('Escape');
  expect(await composerOf(page).inputValue()).toBe('');
});

it('[8] Esc closes what lies over the page first, and stops the answer then', async () => {
  await say(page, '/long 2000');
  await words(page, 5);
  await page.keyboard.press('Control+/');
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor({ state: 'hidden' });
  expect(await stopOf(page).isEnabled()).toBe(true);
  await page.keyboard.press('Escape');
  await ended(page, 'cancelled');
});
