import type { Browser, Page } from 'playwright-core';

import { composerOf, ended, launch, logOf, Person, say } from './browser';
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

/** What can be pressed and is smaller than so many pixels in either direction. Words in running text are exempt. */
const small = (page: Page, least: number) =>
  page.evaluate((px) => {
    const found = [...document.querySelectorAll<HTMLElement>('button, a[href], input, select, textarea, summary')];
    return found
      .filter((el) => el.checkVisibility({ checkOpacity: false }) && !el.closest('.skip-link, .prose'))
      .map((el) => ({ el, box: (el.closest('label') ?? el).getBoundingClientRect() }))
      .filter(({ el, box }) => {
        // A button may reach further than its words.
        const reach = getComputedStyle(el, '::after');
        const wide = reach.position === 'absolute' ? parseFloat(reach.width) || 0 : 0;
        const high = reach.position === 'absolute' ? parseFloat(reach.height) || 0 : 0;
        return Math.max(box.width, wide) < px - 0.5 || Math.max(box.height, high) < px - 0.5;
      })
      .map(({ el, box }) => `${el.outerHTML.slice(0, 120)} ${box.width}x${box.height}`);
  }, least);

const beyond = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
const inView = async (page: Page) => {
  const box = await composerOf(page).boundingBox();
  const height = await page.evaluate(() => innerHeight);
  return box !== null && box.y >= 0 && box.y + box.height <= height;
};

async function filled(person: Person): Promise<Page> {
  const page = await person.open();
  await say(page, 'Add a task to buy groceries');
  await ended(page);
  return page;
}

it.each([
  ['under a finger', 44, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }],
  ['with a mouse', 24, { viewport: { width: 1280, height: 800 } }],
])('[61] %s every target has %d px', async (_, least, options) => {
  const person = await Person.arrive(browser, server, options);
  const page = await filled(person);
  expect(await small(page, least)).toEqual([]);
  await person.leave();
});

it.each([
  ['320 px', { width: 320, height: 640 }],
  ['200 % zoom', { width: 640, height: 400 }],
])('[61] [64] at %s nothing is lost or out of reach', async (_, viewport) => {
  const person = await Person.arrive(browser, server, { viewport });
  const page = await filled(person);
  expect(await beyond(page)).toBeLessThanOrEqual(0);
  expect(await inView(page)).toBe(true);
  await page.getByRole('button', { name: 'Open the tasks' }).click();
  await page.getByRole('dialog', { name: 'Tasks' }).getByText('Buy groceries').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Open the conversations' }).click();
  await page.getByRole('navigation', { name: 'Conversations' }).waitFor();
  expect(await beyond(page)).toBeLessThanOrEqual(0);
  await person.leave();
});

it('[61] forced colours leave borders, focus and states to see', async () => {
  const person = await Person.arrive(browser, server, { forcedColors: 'active' });
  const page = await filled(person);
  const look = (selector: string, ...names: string[]) =>
    page.evaluate(
      ([s, list]) => {
        const style = getComputedStyle(document.querySelector(s)!);
        return list.map((name) => style.getPropertyValue(name));
      },
      [selector, names] as const,
    );
  expect(await look('.bubble', 'border-top-style', 'border-top-width')).toEqual(['solid', '1px']);
  await page.getByRole('button', { name: 'New chat' }).first().focus();
  await page.keyboard.press('Tab');
  // What frames a box may have the outline in its place.
  expect(await look(':focus-visible, :focus-within:has(> :focus-visible)', 'outline-style')).not.toEqual(['none']);
  await person.leave();
});

it('[64] the page has the height that there is, without a script that sets it', async () => {
  const person = await Person.arrive(browser, server, { viewport: { width: 390, height: 844 } });
  const page = await filled(person);
  for (const height of [844, 420, 300]) {
    await page.setViewportSize({ width: 390, height });
    await page.waitForFunction((h) => document.querySelector('.app')?.clientHeight === h, height);
    expect(await inView(page)).toBe(true);
  }
  expect(await page.locator('meta[name=viewport]').getAttribute('content')).toMatch(
    /viewport-fit=cover.*interactive-widget=resizes-content/,
  );
  for (const el of ['html', 'body', '#root']) expect(await page.locator(el).getAttribute('style')).toBeNull();
  await person.leave();
});

it('[65] from right to left everything changes sides, but code does not', async () => {
  const person = await Person.arrive(browser, server);
  const page = await filled(person);
  const sides = () =>
    page.evaluate(() => {
      const at = (s: string) => document.querySelector(s)!.getBoundingClientRect();
      const log = at('[role=log]');
      const bubble = at('.bubble');
      return {
        conversations: at('nav').left > innerWidth / 2 ? 'right' : 'left',
        tasks: at('#tasks').left > innerWidth / 2 ? 'right' : 'left',
        mine: bubble.left - log.left > log.right - bubble.right ? 'right' : 'left',
      };
    });
  expect(await sides()).toEqual({ conversations: 'left', tasks: 'right', mine: 'right' });
  await page.evaluate(() => (document.documentElement.dir = 'rtl'));
  expect(await sides()).toEqual({ conversations: 'right', tasks: 'left', mine: 'left' });
  expect(await beyond(page)).toBeLessThanOrEqual(0);
  await logOf(page)
    .getByRole('button', { name: /^Added/ })
    .click();
  expect(
    await logOf(page)
      .locator('pre')
      .first()
      .evaluate((el) => getComputedStyle(el).direction),
  ).toBe('ltr');
  await person.leave();
});

it('[70] what never changes is kept, and the page itself is asked about', async () => {
  const person = await Person.arrive(browser, server);
  const page = await person.open();
  const page2 = await page.request.get(server.url);
  expect(page2.headers()['cache-control']).toBe('no-cache');
  const again = await page.request.get(server.url, { headers: { 'If-None-Match': page2.headers().etag ?? '' } });
  expect(again.status()).toBe(304);
  const script = /\/assets\/[^"]+\.js/.exec(await page2.text())![0];
  expect((await page.request.get(server.url + script)).headers()['cache-control']).toMatch(
    /max-age=31536000.*immutable/,
  );
  await person.leave();
});
