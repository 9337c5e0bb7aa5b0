import type { Browser, Page } from 'playwright-core';

import { answerOf, composerOf, launch, logOf, Person, say, tasksOf, words } from './browser';
import { Script } from './script';
import { Server } from './server';

jest.setTimeout(90_000);

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

const focused = (page: Page) => page.evaluate(() => document.activeElement?.id ?? '');

describe('[35] a tool that asks first', () => {
  async function asked(): Promise<Page> {
    const { memory } = script;
    memory.task('Buy milk');
    memory.task('Pay rent');
    memory.ask('c1', 'Delete the rent');
    memory.completeStep('c1', { name: 'delete_task', arguments: { task_id: 2 } });
    const page = await person.open('/c/c1');
    await logOf(page).getByText('Delete #2').waitFor();
    await composerOf(page).focus();
    memory.request('c1');
    await page.getByText('“Pay rent” will be deleted.').waitFor();
    return page;
  }

  it('shows what will change and decides nothing by itself', async () => {
    const page = await asked();
    expect(await focused(page)).toBe('composer');
    await page.keyboard.press('Enter');
    expect(script.memory.sent('answer')).toEqual([]);
    await page.getByText('Waiting for your approval').waitFor();
  });

  it('runs when it is allowed, and not before', async () => {
    const page = await asked();
    await page.getByRole('button', { name: 'Allow', exact: true }).click();
    const call = logOf(page).locator('[data-call]');
    await page.waitForFunction(() => document.querySelector('[data-call]')?.getAttribute('data-state') === 'running');
    expect(script.memory.sent('answer')).toMatchObject([{ decision: 'allow' }]);
    const { run_id, calls } = script.memory.state('c1').runs[0]!;
    const row = script.memory.task('Pay rent', { task_id: 2, deleted: true });
    script.memory.append('c1', {
      type: 'tool.returned',
      call_id: calls![0]!.call_id,
      run_id,
      ok: true,
      result: { task: { ...row } },
      duration_ms: 4,
    });
    await call.getByText('Deleted “Pay rent”').waitFor();
    // [36] the card and the panel offer to undo it
    await call.getByRole('button', { name: 'Undo' }).waitFor();
    await tasksOf(page).getByRole('button', { name: 'Undo' }).waitFor();
  });

  it('takes edited arguments, and does not run when denied', async () => {
    const page = await asked();
    await page.getByRole('button', { name: 'Edit', exact: true }).click();
    await page.getByRole('textbox', { name: 'Task', exact: true }).fill('1');
    await page.getByText('“Buy milk” will be deleted.').waitFor();
    await page.getByRole('button', { name: 'Discard the changes' }).click();
    await page.getByText('“Pay rent” will be deleted.').waitFor();
    await page.getByRole('button', { name: 'Deny' }).click();
    await logOf(page).getByText('· Denied').waitFor();
    expect(script.memory.sent('answer')).toMatchObject([{ decision: 'deny' }]);
  });
});

describe('[54] a session that ends', () => {
  it('asks over the page, loses nothing that was typed, and goes on', async () => {
    const { memory } = script;
    memory.task('Pay rent');
    memory.ask('c1', 'Tell me something long');
    memory.write('c1', 'Once upon ');
    const page = await person.open('/c/c1');
    await answerOf(page).getByText('Once upon').waitFor();
    await tasksOf(page).getByRole('textbox', { name: 'Add a task' }).fill('half a task');
    await composerOf(page).fill('half a thought');
    person.expected = /401/;
    script.token = { status: 401, body: { error: { code: 'unauthenticated', message: 'Sign in again.' } } };
    // The page renews its token once by itself before it asks.
    await script.close(4401, 'expired');
    const dialog = page.getByRole('dialog', { name: 'Please sign in again' });
    await dialog.waitFor();
    await page.keyboard.press('Escape');
    expect(await dialog.isVisible()).toBe(true);
    expect(await page.getByText(/Reconnecting/).count()).toBe(0);
    // What is written meanwhile comes when it goes on.
    memory.write('c1', 'a time.');
    script.token = undefined;
    await dialog.getByRole('button', { name: /^Continue as/ }).click();
    await dialog.waitFor({ state: 'detached' });
    await answerOf(page).getByText('Once upon a time.').waitFor();
    expect(await composerOf(page).inputValue()).toBe('half a thought');
    expect(await tasksOf(page).getByRole('textbox', { name: 'Add a task' }).inputValue()).toBe('half a task');
    await composerOf(page).press('Enter');
    await page.waitForFunction(() => document.querySelector('[aria-label="Waiting messages"]') !== null);
    expect(memory.state('c1').runs.map((r) => r.message.text)).toEqual(['Tell me something long', 'half a thought']);
  });
});

it('frames that make no sense are answered by a resume, never by a white page', async () => {
  const { memory } = script;
  memory.ask('c1', 'Hello');
  const page = await person.open('/c/c1');
  memory.write('c1', 'one ');
  await words(page, 1);
  memory.write('c1', 'two ', true);
  for (const bad of ['{', 'null', '[]', '{"type":"commit"}', '{"type":"delta","run_id":5}', '{"type":"moon"}']) {
    script.say(bad);
  }
  await page.waitForFunction(() => document.querySelector('[data-run]')?.textContent.includes('one two'));
  memory.write('c1', 'three');
  memory.finish('c1');
  await page.waitForFunction(() => document.querySelector('[data-run][data-status=completed]') !== null);
  expect(await answerOf(page).innerText()).toContain('one two three');
});

it('[56] an error says what happened, what was kept, what to do, and copies its reference', async () => {
  await person.context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const { memory } = script;
  memory.intercept = (f) =>
    f.type === 'message' ? { type: 'error', id: f.id, code: 'internal', message: 'x', retry_after: 0 } : undefined;
  const page = await person.open();
  await say(page, 'Hello');
  const alert = logOf(page).getByRole('alert');
  await alert.getByText('Something went wrong on the server.').waitFor();
  await alert.getByText(/Your message is kept here\. Try again in a moment\./).waitFor();
  await alert.getByRole('button', { name: 'Copy the reference' }).click();
  const id = memory.sent('message')[0]!.id;
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(`internal ${id}`);
  memory.intercept = undefined;
  await alert.getByRole('button', { name: 'Retry' }).click();
  await alert.waitFor({ state: 'detached' });
  expect(new Set(memory.sent('message').map((f) => f.id))).toEqual(new Set([id]));
});
