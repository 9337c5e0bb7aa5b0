import { AxeBuilder } from '@axe-core/playwright';
import type { Browser, Page } from 'playwright-core';

import { answerOf, composerOf, ended, launch, logOf, Person, say, tasksOf } from './browser';
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

/** A conversation with something of everything in it. */
async function fill(page: Page) {
  await say(page, 'Add a task to buy groceries');
  await ended(page);
  await say(page, '/tool complete_task {"task_id": 999}');
  await logOf(page).getByText('Could not complete', { exact: false }).waitFor();
  await ended(page);
}

/** What axe finds once the page is at rest: half-faded text has no contrast that anybody reads. */
async function clean(page: Page, what: string) {
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
  const list = violations.map((v) => `${v.id}: ${v.help}\n  ${v.nodes.map((n) => n.html.slice(0, 200)).join('\n  ')}`);
  expect(`${what}\n${list.join('\n')}`.trim()).toBe(what);
}

describe.each([
  ['light', 1280],
  ['dark', 1280],
  ['light', 390],
  ['dark', 390],
] as const)('[57] [61] [63] %s, %d px wide', (colorScheme, width) => {
  let person: Person;
  beforeEach(async () => {
    person = await Person.arrive(browser, server, {
      colorScheme,
      viewport: { width, height: 844 },
      hasTouch: width < 500,
    });
  });
  afterEach(() => person.leave());

  it('has no barrier that axe finds, and nothing beyond the edge', async () => {
    const page = await person.open();
    await clean(page, 'the empty chat');
    await fill(page);
    await clean(page, 'a conversation');
    if (width < 900) {
      await page.getByRole('button', { name: 'Open the tasks' }).click();
      await tasksOf(page).waitFor();
      await clean(page, 'the tasks');
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Open the conversations' }).click();
      await page.getByRole('navigation', { name: 'Conversations' }).waitFor();
      await clean(page, 'the conversations');
      await page.keyboard.press('Escape');
    }
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
    const background = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    expect(background).toBe(colorScheme === 'dark' ? 'rgb(18, 21, 24)' : 'rgb(255, 255, 255)');
  });
});

describe('[57] without a mouse', () => {
  let person: Person;
  let page: Page;
  beforeEach(async () => {
    person = await Person.arrive(browser, server);
    page = await person.open();
  });
  afterEach(() => person.leave());

  it('[57] [59] one can write, read, stop, tick and find the way', async () => {
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? '');
    expect(await focused()).toBe('Message Parley');
    await page.keyboard.type('Add a task to buy groceries');
    await page.keyboard.press('Enter');
    await ended(page);
    expect(await focused()).toBe('Message Parley');
    await page.keyboard.press('Alt+ArrowUp');
    expect(await page.evaluate(() => document.activeElement?.closest('article') !== null)).toBe(true);
    // The first stops of the page lead past everything else.
    const text = () => page.evaluate(() => document.activeElement?.textContent ?? '');
    for (let i = 0; i < 60 && (await text()) !== 'Skip to the message box'; i++) await page.keyboard.press('Shift+Tab');
    expect(await text()).toBe('Skip to the message box');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('tasks');
    const box = tasksOf(page).getByRole('checkbox', { name: 'Complete “Buy groceries”' });
    for (let i = 0; i < 20 && !(await box.evaluate((el) => el === document.activeElement)); i++) {
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Space');
    await tasksOf(page).getByRole('checkbox', { checked: true }).waitFor();
  });

  it('[58] [60] a status line says in words what happens', async () => {
    const seen: string[] = [];
    await page.exposeFunction('heard', (text: string) => seen.push(text));
    await page.evaluate(() => {
      const report = (window as unknown as { heard: (text: string) => void }).heard;
      const look = () => {
        for (const el of document.querySelectorAll('[role=status]')) if (el.textContent) report(el.textContent);
      };
      new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    await say(page, 'Add a task to buy groceries');
    await ended(page);
    await page.waitForFunction(() =>
      [...document.querySelectorAll('[role=status]')].some((el) => el.textContent.includes('Reply finished')),
    );
    expect(seen).toContain('Replying');
    expect(await logOf(page).getAttribute('aria-live')).toBe('off');
  });

  it('[63] the theme that was chosen is there at the first paint', async () => {
    await page.context().addCookies([{ name: 'theme', value: 'dark', url: server.url }]);
    await page.reload();
    await composerOf(page).waitFor();
    expect(await page.locator('html').getAttribute('data-theme')).toBe('dark');
    expect(await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)).toBe(
      'rgb(18, 21, 24)',
    );
  });

  it('[69] the prompts of the first visit really work', async () => {
    const prompts = page.getByRole('list', { name: 'Things to try' }).getByRole('button');
    expect(await prompts.count()).toBe(4);
    await prompts.first().hover();
    expect(await logOf(page).count()).toBe(0);
    const said: string[] = [];
    for (let i = 0; i < 4; i++) {
      await prompts.nth(i).click();
      await ended(page);
      said.push(await answerOf(page).innerText());
      await page.getByRole('button', { name: 'New chat' }).first().click();
      await prompts.first().waitFor();
    }
    for (const title of ['Buy groceries', 'Call mom', 'Pay rent']) {
      await tasksOf(page)
        .getByText(new RegExp(`^${title}$`, 'i'))
        .waitFor();
    }
    expect(said[1]).toMatch(/groceries/i);
    expect(said[3]).not.toBe('');
  });
});
