import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';

import { composerOf, ended, launch, logOf, Person, say, stopOf, tasksOf, words } from './browser';
import { ScriptedModel } from './model';
import { Server } from './server';

jest.setTimeout(90_000);

const answer = `Two things are left for **today**:

1. Call the bank, see [their hours](https://example.com/a/very/long/address/that/does/not/fit/into/a/narrow/column/at/all).
2. ${'Averyveryverylongwordwithoutanyplacetobreakit'.repeat(3)}

\`\`\`go
func main() { fmt.Println("a line of code that is much longer than any column of a narrow window can be, and then some") }
\`\`\`

| task | due | who | a wide column | another wide column |
|---|---|---|---|---|
| Call the bank about the new card | tomorrow | Ana | something that needs room | something else that needs room |
`;

let model: ScriptedModel;
let server: Server;
let browser: Browser;

beforeAll(async () => {
  model = await ScriptedModel.start((said) => {
    if (said.startsWith('Add ')) {
      return {
        pieces: ['Done.'],
        call: { name: 'add_task', arguments: { title: said.slice(4) } },
        title: 'Weekly plan',
      };
    }
    if (said === 'Slowly') return { pieces: Array.from({ length: 400 }, (_, i) => `word${i} `), rate: 60 };
    return { pieces: [answer] };
  });
  [server, browser] = await Promise.all([Server.start({ model: model.url }), launch()]);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
  await model.stop();
});

/** Keeps a picture for whoever wants to look: PARLEY_SHOTS names the folder. */
async function shot(page: Page, name: string): Promise<void> {
  const dir = process.env.PARLEY_SHOTS;
  if (dir) await page.screenshot({ path: join(dir, `${name}.png`) });
}

/** Somebody with a conversation that has something of everything in it. */
async function somebody(options: BrowserContextOptions, rtl = false): Promise<{ person: Person; page: Page }> {
  const person = await Person.arrive(browser, server, options);
  if (rtl) {
    // The page is built from an HTML that has no direction yet.
    await person.context.addInitScript(() => {
      new MutationObserver(() => document.documentElement.setAttribute('dir', 'rtl')).observe(document, {
        childList: true,
      });
    });
  }
  const page = await person.open();
  await say(page, 'Add Call the bank');
  await ended(page);
  await say(page, 'What is left? שלום');
  await ended(page);
  return { person, page };
}

/** Waits until everything that slides or fades has arrived. */
const settled = (page: Page) =>
  page.evaluate(() =>
    Promise.all(
      document
        .getAnimations()
        .filter((a) => a.effect?.getComputedTiming().endTime !== Infinity)
        .map((a) => a.finished.catch(() => undefined)),
    ),
  );

/** How far the page, or anything one can use, reaches over its edges. */
async function beyond(page: Page): Promise<string[]> {
  await settled(page);
  return page.evaluate(() => {
    const out = [...document.querySelectorAll('button, a, input, textarea, h1, h2, p')]
      .filter((el) => el.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
      .filter((el) => !el.closest('.sr-only, .skip-link, [popover]') && !el.matches('.sr-only, .skip-link'))
      .filter((el) => {
        // What scrolls by itself may be wider.
        for (let up = el.parentElement; up; up = up.parentElement) {
          if (
            up !== document.body &&
            /auto|scroll/.test(getComputedStyle(up).overflowX) &&
            up.scrollWidth > up.clientWidth + 1
          ) {
            return up.getBoundingClientRect().right > innerWidth + 1;
          }
        }
        const box = el.getBoundingClientRect();
        return box.width > 0 && (box.left < -1 || box.right > innerWidth + 1);
      })
      .map((el) => el.outerHTML.slice(0, 120));
    const wide = document.documentElement.scrollWidth - innerWidth;
    return wide > 0 ? [`the page is ${wide} px too wide`, ...out] : out;
  });
}

const inView = async (page: Page, what: Locator) => {
  const box = await what.boundingBox();
  const size = page.viewportSize();
  if (!box || !size) return false;
  return box.x >= 0 && box.y >= 0 && box.x + box.width <= size.width && box.y + box.height <= size.height;
};

describe.each([
  ['320 px', { width: 320, height: 640 }],
  ['200 % of zoom', { width: 640, height: 400 }],
  ['400 % of zoom', { width: 320, height: 256 }],
] as const)('[61] %s', (name, viewport) => {
  it('loses nothing', async () => {
    const { person, page } = await somebody({ viewport });
    await shot(page, `${name}-chat`);
    expect(await beyond(page)).toEqual([]);
    expect(await inView(page, composerOf(page))).toBe(true);
    expect(await inView(page, page.getByRole('button', { name: 'Send', exact: true }))).toBe(true);
    await page.getByRole('button', { name: 'Open the tasks' }).click();
    await tasksOf(page).getByText('Call the bank').waitFor();
    await shot(page, `${name}-tasks`);
    expect(await beyond(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page
      .getByRole('button', { name: /^(Open|Show) the conversations$/ })
      .or(page.getByRole('button', { name: 'Hide the conversations' }))
      .first()
      .click();
    await shot(page, `${name}-list`);
    expect(await beyond(page)).toEqual([]);
    await person.leave();
  });
});

describe.each([1280, 390])('[65] from right to left, %d px wide', (width) => {
  it('is its own mirror image, and code is not', async () => {
    const { person, page } = await somebody({ viewport: { width, height: 844 } }, true);
    await shot(page, `rtl-${width}-chat`);
    expect(await beyond(page)).toEqual([]);
    const middle = width / 2;
    const of = async (what: Locator) => {
      const box = await what.boundingBox();
      if (!box) throw new Error('it is not on the page');
      return { left: box.x, right: box.x + box.width };
    };
    if (width > 1200) {
      expect((await of(page.getByRole('navigation', { name: 'Conversations' }))).left).toBeGreaterThan(middle);
      expect((await of(tasksOf(page))).right).toBeLessThan(middle);
    } else {
      await page.getByRole('button', { name: 'Open the conversations' }).click();
      const list = page.getByRole('navigation', { name: 'Conversations' });
      await list.waitFor();
      await settled(page);
      expect(Math.round((await of(page.locator('dialog[open]'))).right)).toBe(width);
      await shot(page, `rtl-${width}-list`);
      await page.keyboard.press('Escape');
    }
    // One's own messages stand at the end of the line, the way to send them too.
    expect((await of(logOf(page).locator('.bubble').first())).left).toBeLessThan(middle);
    expect((await of(page.getByRole('button', { name: 'Send', exact: true }))).right).toBeLessThan(middle);
    const direction = (css: string) =>
      page.evaluate((s) => {
        const el = document.querySelector(s);
        return el && getComputedStyle(el).direction;
      }, css);
    expect(await direction('[role=log] pre')).toBe('ltr');
    expect(await direction('[role=log] [data-run] p')).toBe('ltr'); // English text in a page that is not
    // The number of an item that is written the other way has its room.
    const item = await of(logOf(page).locator('[data-run] ol > li').first());
    expect(item.left).toBeGreaterThanOrEqual((await of(logOf(page).locator('[data-run] ol').first())).left + 20);
    await person.leave();
  });
});

it('[61] forced colours leave no state and no border without a sign', async () => {
  const { person, page } = await somebody({ forcedColors: 'active' });
  await shot(page, 'forced-chat');
  const border = (what: Locator) =>
    what.evaluate((el) => {
      const s = getComputedStyle(el);
      return s.borderTopStyle !== 'none' && parseFloat(s.borderTopWidth) >= 1;
    });
  expect(await border(logOf(page).locator('.bubble').first())).toBe(true);
  const row = page.getByRole('navigation', { name: 'Conversations' }).locator('.selected').first();
  const canvas = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  expect(await row.evaluate((el) => getComputedStyle(el).backgroundColor)).not.toBe(canvas);
  await page.keyboard.press('Tab');
  expect(
    await page.evaluate(() => {
      const s = getComputedStyle(document.activeElement ?? document.body);
      return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2;
    }),
  ).toBe(true);
  await person.leave();
});

it('[21] reduced motion moves nothing, also while an answer streams', async () => {
  const { person, page } = await somebody({ reducedMotion: 'reduce' });
  await say(page, 'Slowly');
  await words(page, 10);
  const moving = () =>
    page.evaluate(() =>
      document
        .getAnimations()
        .filter((a) => Number(a.effect?.getComputedTiming().duration) > 1)
        .map((a) => (a.effect as KeyframeEffect).target?.outerHTML.slice(0, 120)),
    );
  expect(await moving()).toEqual([]);
  await shot(page, 'still-streaming');
  await stopOf(page).click();
  await ended(page, 'cancelled');
  expect(await moving()).toEqual([]);
  expect(await page.evaluate(() => getComputedStyle(document.querySelector('#messages')!).scrollBehavior)).toBe('auto');
  await person.leave();
});
