import type { Browser, Page } from 'playwright-core';

import type { Task } from '../../src/protocol/types';
import { answerOf, composerOf, ended, idOf, launch, logOf, Person, say, stopOf, tasksOf, words } from './browser';
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
  person = await Person.arrive(browser, server);
  page = await person.open();
});
afterEach(() => person.leave());

/** The text of the last answer, as the log has it. */
async function stored(): Promise<string[]> {
  const { runs } = await person.log(page);
  return (runs.at(-1)?.steps ?? []).flatMap((s) => s.text.split(/\s+/).filter(Boolean));
}

const row = (p: Page, title: string) => tasksOf(p).getByRole('listitem').filter({ hasText: title });

it('[1] [6] [14] a message goes out by Enter and its answer appears word by word', async () => {
  await composerOf(page).fill('/long 120');
  await composerOf(page).press('Shift+Enter');
  expect(await composerOf(page).inputValue()).toBe('/long 120\n');
  await composerOf(page).press('Backspace');
  await composerOf(page).press('Enter');
  expect(await composerOf(page).inputValue()).toBe('');
  const early = await words(page, 5);
  expect(early.length).toBeLessThan(120);
  await ended(page);
  const shown = await words(page, 120);
  expect(shown).toHaveLength(120);
  expect(shown).toEqual(await stored());
  expect(shown.slice(0, early.length - 1)).toEqual(early.slice(0, -1));
});

it('[50] [70] a reload in the middle of an answer goes on with the same text', async () => {
  await say(page, '/long 200');
  const before = await words(page, 20);
  await page.reload();
  const after = await words(page, before.length);
  expect(after.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
  await ended(page);
  expect(await words(page, 200)).toEqual(await stored());
});

it('[49] two tabs show the same live answer, and a stop in one is a stop in the other', async () => {
  await say(page, '/long 2000'); // it must not end by itself before the other tab has come
  await words(page, 10);
  const other = await person.open(`/c/${idOf(page)}`);
  await words(other, 10);
  await stopOf(other).click();
  await ended(other, 'cancelled');
  await ended(page, 'cancelled');
  expect(await answerOf(page).innerText()).toBe(await answerOf(other).innerText());
  await say(other, 'Hello');
  await logOf(page).getByText('Hello', { exact: true }).waitFor();
});

it('[8] [9] Stop and Esc end an answer, which keeps its text and says so', async () => {
  await say(page, '/long 400');
  const before = await words(page, 10);
  await page.keyboard.press('Escape');
  const answer = await ended(page, 'cancelled');
  await answer.getByText('Stopped', { exact: false }).waitFor();
  const run = (await person.log(page)).runs.at(-1);
  expect(run?.status).toBe('cancelled');
  const kept = run?.receipt?.text?.split(/\s+/) ?? [];
  expect(kept.length).toBeGreaterThanOrEqual(before.length - 1);
  expect(kept.length).toBeLessThan(400);
  expect((await words(page, kept.length)).slice(0, kept.length)).toEqual(kept);
  await say(page, '/long 20');
  await ended(page);
});

it('[30] [33] [38] a tool call of the answer is a card and a task at once', async () => {
  await say(page, 'Add a task to buy groceries');
  await logOf(page).getByText('Added “Buy groceries”').waitFor();
  await row(page, 'Buy groceries').waitFor();
  await ended(page);
  await page.reload();
  await logOf(page).getByText('Added “Buy groceries”').waitFor();
  await row(page, 'Buy groceries').waitFor();
});

it('[32] a tool call that failed says why without being opened', async () => {
  await say(page, '/tool complete_task {"task_id": 999}');
  await logOf(page).getByText('Could not complete', { exact: false }).waitFor();
  await ended(page);
});

it('[39] [49] ticks, edits and additions by hand reach the log and every other tab', async () => {
  const other = await person.open();
  await tasksOf(page).getByRole('textbox', { name: 'Add a task' }).fill('Call the bank');
  await tasksOf(page).getByRole('textbox', { name: 'Add a task' }).press('Enter');
  await row(page, 'Call the bank').waitFor();
  await row(other, 'Call the bank').waitFor();

  await row(page, 'Call the bank').getByText('Call the bank').click();
  await tasksOf(page).getByRole('textbox', { name: 'Title' }).fill('Call the other bank');
  await tasksOf(page).getByRole('textbox', { name: 'Title' }).press('Enter');
  await row(other, 'Call the other bank').waitFor();

  await row(other, 'Call the other bank').getByRole('checkbox').click();
  await row(page, 'Call the other bank').getByRole('checkbox', { checked: true }).waitFor();
  const { data } = await server.api<{ data: Task[] }>(person.name, 'tasks?status=all');
  expect(data).toMatchObject([{ title: 'Call the other bank', status: 'completed' }]);
});

it('[24] an edited message is a branch, and nothing is lost', async () => {
  await say(page, '/long 5');
  await ended(page);
  const message = logOf(page).locator('[data-message]').first();
  await message.hover();
  await message.getByRole('button', { name: 'Edit and resend' }).click();
  await say(page, '/long 9');
  await logOf(page).getByText('/long 9').waitFor();
  await ended(page);
  await logOf(page).getByText('2 / 2').waitFor();
  await logOf(page).getByRole('button', { name: 'Previous version' }).click();
  await logOf(page).getByText('/long 5').waitFor();
  await page.reload();
  await logOf(page).getByText('1 / 2').waitFor();
  await logOf(page).getByText('/long 5').waitFor();
});

it('[25] answering again asks before it repeats what a tool has done', async () => {
  await say(page, 'Add a task to buy groceries');
  await ended(page);
  await answerOf(page).getByRole('button', { name: 'Answer again' }).click();
  const question = page.getByRole('dialog', { name: 'Answer again?' });
  await question.getByText('Added “Buy groceries”').waitFor();
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Leave it');
  await page.keyboard.press('Enter');
  await question.waitFor({ state: 'detached' });
  expect((await person.log(page)).runs).toHaveLength(1);
  await answerOf(page).getByRole('button', { name: 'Answer again' }).click();
  await question.getByRole('button', { name: 'Answer again' }).click();
  await logOf(page).getByText('2 / 2').waitFor();
  await ended(page);
  expect(await tasksOf(page).getByRole('listitem').filter({ hasText: 'Buy groceries' }).count()).toBe(2);
});

it('[10] a message that is sent during an answer is answered after it', async () => {
  await say(page, '/long 60');
  await words(page, 5);
  await say(page, '/long 7');
  await page.getByRole('list', { name: 'Waiting messages' }).getByText('/long 7').waitFor();
  await page.waitForFunction(() => document.querySelectorAll('[data-run][data-status=completed]').length === 2);
  expect(await words(page, 7)).toHaveLength(7);
});

it('[44] [46] a conversation is renamed, deleted and brought back', async () => {
  await say(page, '/long 5');
  await ended(page);
  const id = idOf(page);
  const list = page.getByRole('navigation', { name: 'Conversations' });
  const link = list.locator(`a[href^="/c/${id}"]`);
  await link.waitFor();
  await link.hover();
  await list
    .getByRole('button', { name: /^More about/ })
    .first()
    .click();
  await page.getByRole('menuitem', { name: 'Rename' }).click();
  await page.getByRole('textbox', { name: 'Title of the conversation' }).first().fill('Five words');
  await page.keyboard.press('Enter');
  await list.getByRole('link', { name: 'Five words' }).waitFor();
  await link.hover();
  await list.getByRole('button', { name: 'More about “Five words”' }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await link.waitFor({ state: 'detached' });
  await page.waitForURL((url) => url.pathname === '/');
  await page.getByRole('button', { name: 'Undo' }).click();
  await link.waitFor();
});

it('[43] an unknown conversation is a page that says so', async () => {
  person.expected = /404/;
  const lost = await person.open('/c/nothing-here');
  await lost.getByText('This conversation does not exist, or it is not yours.').waitFor();
  await lost.getByRole('button', { name: 'Start a new chat' }).click();
  await composerOf(lost).waitFor();
});

it('[5] a draft survives a reload and another conversation', async () => {
  await composerOf(page).fill('half a thought');
  await page.reload();
  await composerOf(page).waitFor();
  expect(await composerOf(page).inputValue()).toBe('half a thought');
  await say(page, '/long 5');
  await ended(page);
  await composerOf(page).fill('another');
  await page
    .getByRole('link', { name: 'New chat' })
    .or(page.getByRole('button', { name: 'New chat' }))
    .first()
    .click();
  await page.waitForURL((url) => url.pathname === '/');
  expect(await composerOf(page).inputValue()).toBe('');
  await page.goBack();
  await page.waitForURL(/\/c\//);
  await logOf(page).getByText('/long 5').waitFor();
  expect(await composerOf(page).inputValue()).toBe('another');
});

it('[27] what a model or a person writes never runs', async () => {
  const evil =
    '<img src=x onerror="document.title=\'owned\'"> <script>document.title="owned"</script> [x](javascript:alert(1))';
  await say(page, `Add a task ${evil}`);
  await ended(page, 'completed', 'failed');
  // The conversation is named after its first message, word for word.
  expect(await page.title()).not.toBe('owned');
  expect(await page.locator('[role=log] img, [role=log] script, a[href^="javascript:"]').count()).toBe(0);
});
