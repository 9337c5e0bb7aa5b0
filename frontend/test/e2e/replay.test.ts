import { readFile } from 'node:fs/promises';

import { AxeBuilder } from '@axe-core/playwright';
import type { Browser, Page } from 'playwright-core';

import type { CommitPage } from '../../src/protocol/types';
import { ended, idOf, launch, logOf, Person, say, tasksOf } from './browser';
import { Server } from './server';

jest.setTimeout(90_000);

let server: Server;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([Server.start({ rate: 0 }), launch()]);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
});

const slider = (page: Page) => page.getByRole('slider', { name: 'Timeline' });
const then = (page: Page) => page.getByRole('region', { name: /^Tasks (then|now)$/ });
const at = async (page: Page) => Number(await slider(page).getAttribute('aria-valuenow'));

/** Waits until an instant is on screen. */
async function stands(page: Page, n: number) {
  await page.waitForFunction(
    (want) => document.querySelector('[role=slider]')?.getAttribute('aria-valuenow') === String(want),
    n,
  );
}

/** What the messages say, without the times, which differ by when one looks. */
function words(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll('[role=log] article')].map((article) => {
      const copy = article.cloneNode(true) as HTMLElement;
      for (const el of copy.querySelectorAll('time, h2, [role=group]')) el.remove();
      return copy.textContent;
    }),
  );
}

/** A call that fails, to its end: the answer before it has ended already. */
async function fail(page: Page) {
  await say(page, '/tool complete_task {"task_id": 999}');
  await logOf(page).getByText('Could not complete', { exact: false }).waitFor();
  await ended(page);
}

/** A task by hand, one in the conversation, a tick by hand, and a call that fails. */
async function live(page: Page): Promise<string> {
  const box = tasksOf(page).getByRole('textbox', { name: 'Add a task' });
  await box.fill('From before');
  await box.press('Enter');
  await tasksOf(page).getByText('From before').waitFor();
  await say(page, 'Add a task to buy groceries');
  await ended(page);
  await tasksOf(page).getByRole('checkbox', { name: 'Complete “From before”' }).click();
  await tasksOf(page).getByRole('checkbox', { name: 'Reopen “From before”' }).waitFor();
  await fail(page);
  return idOf(page);
}

/** The n of the first commit that has an event of a type. */
async function instantOf(person: Person, id: string, type: string): Promise<number> {
  const { data } = await server.api<CommitPage>(person.name, `conversations/${id}/events`);
  const found = data.find((c) => c.events.some((e) => e.type === type));
  if (!found) throw new Error(`no ${type} in the log`);
  return found.n;
}

describe('[66] [67] [68] the replay', () => {
  let person: Person;
  let page: Page;
  let id: string;
  beforeEach(async () => {
    person = await Person.arrive(browser, server, { acceptDownloads: true });
    page = await person.open();
    id = await live(page);
  });
  afterEach(() => person.leave());

  it('ends with what the live page shows, and begins with nothing of it', async () => {
    const shown = await words(page);
    await page.getByRole('button', { name: 'Replay', exact: true }).click();
    await slider(page).waitFor();
    expect(await words(page)).toEqual(shown);
    await then(page).getByText('Buy groceries').waitFor();
    expect(await then(page).getByRole('listitem').count()).toBe(2);

    await page.keyboard.press('Home');
    await stands(page, 1);
    expect((await words(page))[0]).toContain('Add a task to buy groceries');
    expect(await logOf(page).getByText('Added “Buy groceries”').count()).toBe(0);
    await then(page).getByText('From before').waitFor();
    expect(await then(page).getByRole('listitem').count()).toBe(1);

    const returned = await instantOf(person, id, 'tool.returned');
    while ((await at(page)) < returned) await page.keyboard.press('Shift+ArrowRight');
    await logOf(page).getByText('Added “Buy groceries”').waitFor();
    await then(page).getByText('added', { exact: true }).waitFor();
    // The tick came later, by hand.
    expect(await then(page).getByRole('listitem').filter({ hasText: 'From before' }).innerText()).toContain('open');
    await page.keyboard.press('End');
    expect(await slider(page).getAttribute('aria-valuetext')).toBe('Now');
    expect(await words(page)).toEqual(shown);
    await page.getByRole('button', { name: 'Back to the conversation' }).click();
    await logOf(page).waitFor();
    expect(await words(page)).toEqual(shown);
  });

  it('plays to the end, and goes on with what comes', async () => {
    await page.goto(`/c/${id}/replay?n=1`);
    await slider(page).waitFor();
    await page.getByRole('button', { name: 'Speed: 1×' }).click();
    await page.getByRole('menuitemradio', { name: 'Max' }).click();
    await page.getByRole('button', { name: 'Play', exact: true }).click();
    await page.waitForFunction(() => document.querySelector('[role=slider]')?.getAttribute('aria-valuetext') === 'Now');
    await page.getByRole('button', { name: 'Play', exact: true }).waitFor();
    const other = await person.open(`/c/${id}`);
    await say(other, 'Hello');
    await ended(other);
    await logOf(page).getByText('Hello', { exact: true }).waitFor();
    await page.waitForFunction(
      (n) => document.querySelectorAll('[role=log] [data-status=completed]').length === n,
      await logOf(other).locator('[data-status=completed]').count(),
    );
    expect(await words(page)).toEqual(await words(other));
  });

  it('has an address for every instant, which Back and a reload keep', async () => {
    const failed = await instantOf(person, id, 'tool.returned');
    await page.goto(`/c/${id}/replay?n=${failed}`);
    await slider(page).waitFor();
    await stands(page, failed);
    await page.getByRole('button', { name: 'To the first instant' }).click();
    await page.waitForURL(/\?n=1$/);
    await page.reload();
    await slider(page).waitFor();
    await stands(page, 1);
    await page.goBack();
    await stands(page, failed);
    // By the mouse: the middle of the line, then its end.
    const line = (await slider(page).boundingBox())!;
    await page.mouse.move(line.x + line.width / 2, line.y + line.height / 2);
    await page.mouse.down();
    await page.mouse.move(line.x + line.width - 2, line.y + line.height / 2, { steps: 5 });
    await page.mouse.up();
    expect(await slider(page).getAttribute('aria-valuetext')).toBe('Now');
    await page.goBack();
    await stands(page, failed);
  });

  it('shows why: the error, its event as it is stored, and what led to it', async () => {
    await page.getByRole('button', { name: 'Why did it do that?' }).last().click();
    await slider(page).waitFor();
    const run = (await person.log(page)).runs.at(-1);
    expect(await at(page)).toBe(run?.n);
    await page
      .getByRole('group', { name: 'Show' })
      .getByRole('button', { name: /^Errors/ })
      .click();
    await page.getByRole('listbox', { name: 'Events' }).getByRole('option').first().click();
    await page.getByRole('button', { name: 'JSON', exact: true }).click();
    const shown: unknown = JSON.parse(await page.getByLabel('JSON of the event').innerText());
    const { data } = await server.api<CommitPage>(person.name, `conversations/${id}/events`);
    const stored = data.flatMap((c) => c.events).find((e) => e.type === 'tool.returned' && !e.ok);
    expect(shown).toEqual(stored);
    await logOf(page).getByText('Could not complete', { exact: false }).waitFor();
  });

  it('saves what the server writes, up to the instant', async () => {
    await page.goto(`/c/${id}/replay?n=2`);
    await slider(page).waitFor();
    await page.getByRole('button', { name: 'Export' }).click();
    const download = page.waitForEvent('download');
    await page.getByRole('menuitem', { name: 'Events as stored (JSON lines)' }).click();
    const file = await download;
    expect(file.suggestedFilename()).toBe(`${id}-2.jsonl`);
    const lines = (await readFile(await file.path(), 'utf8')).trim().split('\n');
    const { data } = await server.api<CommitPage>(person.name, `conversations/${id}/events`);
    expect(lines.map((l) => JSON.parse(l) as unknown)).toEqual(data.slice(0, 2));
  });
});

describe.each([
  ['light', 1280],
  ['dark', 1280],
  ['light', 390],
  ['dark', 390],
] as const)('[57] [66] the replay in %s, %d px wide', (colorScheme, width) => {
  it('has no barrier that axe finds, and nothing beyond the edge', async () => {
    const person = await Person.arrive(browser, server, {
      colorScheme,
      viewport: { width, height: 844 },
      hasTouch: width < 500,
    });
    const page = await person.open();
    await say(page, 'Add a task to buy groceries');
    await ended(page);
    await fail(page);
    const id = idOf(page);
    const n = await instantOf(person, id, 'tool.returned');
    await page.goto(`/c/${id}/replay?n=${n}`);
    await slider(page).waitFor();
    const clean = async (what: string) => {
      await page.evaluate(() =>
        Promise.all(
          document
            .getAnimations()
            .filter((a) => a.effect?.getComputedTiming().endTime !== Infinity)
            .map((a) => a.finished.catch(() => undefined)),
        ),
      );
      const { violations } = await new AxeBuilder({ page })
        .withTags(['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'])
        .analyze();
      const list = violations.map((v) => `${v.id}: ${v.help} ${v.nodes.map((x) => x.html.slice(0, 200)).join('\n')}`);
      expect(`${what}\n${list.join('\n')}`.trim()).toBe(what);
    };
    await page.getByRole('listbox', { name: 'Events' }).waitFor();
    await page.getByRole('button', { name: 'JSON', exact: true }).click();
    await clean('an instant');
    if (width < 900) {
      await page.getByRole('tab', { name: /^Tasks/ }).click();
      await page.getByRole('tabpanel').getByText('Buy groceries').waitFor();
      await clean('its tasks');
    }
    await page.keyboard.press('End');
    await clean('now');
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
    // The player is at the bottom, whole.
    const player = await page.getByRole('region', { name: 'Player' }).boundingBox();
    expect(Math.round((player?.y ?? 0) + (player?.height ?? 0))).toBe(844);
    await person.leave();
  });
});
