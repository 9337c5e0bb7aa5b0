import type { Browser, BrowserContextOptions, Page } from 'playwright-core';

import { answerOf, composerOf, ended, idOf, launch, logOf, Person, say } from './browser';
import { HandModel, type Answer } from './handModel';
import { Server } from './server';

jest.setTimeout(60_000);

let model: HandModel;
let server: Server;
let browser: Browser;
let person: Person;
let page: Page;

beforeAll(async () => {
  model = await HandModel.start();
  [server, browser] = await Promise.all([Server.start({ model: model.url }), launch()]);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
  await model.stop();
});

async function arrive(options: BrowserContextOptions = {}) {
  person = await Person.arrive(browser, server, options);
  page = await person.open();
}
afterEach(async () => {
  model.reset();
  await person.leave();
});

const lines = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `Line ${from + i} of it.\n\n`).join('');

/** Where the view stands: the height beyond it, and how far it is scrolled. */
const view = () =>
  page.evaluate(() => {
    const el = document.getElementById('messages')!;
    return { top: el.scrollTop, below: Math.round(el.scrollHeight - el.clientHeight - el.scrollTop) };
  });
/** Waits until the view stands at the end. */
const atEnd = () =>
  page.waitForFunction(() => {
    const el = document.getElementById('messages')!;
    return el.scrollHeight - el.clientHeight - el.scrollTop <= 1;
  });
const topOf = (text: string) =>
  logOf(page)
    .getByText(text, { exact: true })
    .evaluate((el) => Math.round(el.getBoundingClientRect().top));
const jump = () => page.getByRole('button', { name: /^Jump to latest/ });

async function ask(text: string): Promise<Answer> {
  const answer = model.next();
  await say(page, text);
  return answer;
}

/** Lets the model say so many lines and waits until they are drawn. */
async function tell(answer: Answer, from: number, to: number) {
  answer.say(lines(from, to));
  await logOf(page).getByText(`Line ${to} of it.`, { exact: true }).waitFor();
  await frames();
}

/** Whatever follows from the last change has happened. */
const frames = () =>
  page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(0)))));

it('[14] the first words are on screen within 100 ms of their arrival, six frames', async () => {
  await arrive();
  await page.addInitScript(() => {
    const seen: { frames?: number } = {};
    let first = true;
    class Watched extends WebSocket {
      constructor(url: string, protocols?: string | string[]) {
        super(url, protocols);
        this.addEventListener('message', ({ data }: MessageEvent<string>) => {
          if (!first || !data.includes('"type":"delta"')) return;
          first = false;
          let frames = 0;
          const look = () => {
            frames++;
            if (document.querySelector('[data-run]')?.textContent.includes('Good morning')) seen.frames = frames;
            else requestAnimationFrame(look);
          };
          requestAnimationFrame(look);
        });
      }
    }
    Object.assign(window, { seen, WebSocket: Watched });
  });
  await page.reload();
  await composerOf(page).waitFor();
  await page.waitForLoadState('networkidle'); // the parts that come right after the page
  const answer = await ask('Hello');
  answer.say('Good morning');
  await page.waitForFunction(() => (window as unknown as { seen: { frames?: number } }).seen.frames);
  const { frames } = await page.evaluate(() => (window as unknown as { seen: { frames: number } }).seen);
  expect(frames).toBeLessThanOrEqual(6);
  answer.end();
});

it('[15] [16] the end is followed until the reader goes up, by however little', async () => {
  await arrive();
  const answer = await ask('Tell me');
  await tell(answer, 1, 60);
  expect((await view()).below).toBeLessThanOrEqual(1);
  await page.setViewportSize({ width: 1000, height: 600 });
  await frames();
  expect((await view()).below).toBeLessThanOrEqual(1);
  expect(await jump().count()).toBe(0);
  await logOf(page).hover();
  await page.mouse.wheel(0, -20);
  await jump().waitFor();
  const { top, below } = await view();
  expect(below).toBeLessThan(64);
  await tell(answer, 61, 90);
  expect((await view()).top).toBe(top);
  await jump().click();
  await tell(answer, 91, 120);
  expect((await view()).below).toBeLessThanOrEqual(1);

  // A key, while the page is being written.
  await page.evaluate(() => document.getElementById('messages')?.focus());
  const scrolled = page.evaluate(
    () =>
      new Promise((done) => document.getElementById('messages')!.addEventListener('scrollend', done, { once: true })),
  );
  await page.keyboard.press('PageUp');
  await scrolled; // the browser scrolls smoothly
  await jump().waitFor();
  await tell(answer, 121, 140);
  expect((await view()).below).toBeGreaterThan(200);
  // Sending goes back to the end.
  const next = ask('And then?');
  await page.getByRole('list', { name: 'Waiting messages' }).waitFor();
  await atEnd();
  answer.end();
  (await next).say('Nothing.').end();
  await ended(page);
});

it('[16] what comes meanwhile is counted', async () => {
  await arrive();
  const answer = await ask('Tell me');
  await tell(answer, 1, 60);
  answer.end();
  await ended(page);
  await logOf(page).hover();
  await page.mouse.wheel(0, -600);
  await jump().waitFor();
  model.always = 'Yes.';
  await server.api(person.name, 'chat', { conversation_id: idOf(page), message: 'From elsewhere' });
  await page.getByRole('button', { name: 'Jump to latest · 1 new' }).waitFor();
});

it('[17] as a setting, the question stays at the top and nothing is followed', async () => {
  await arrive();
  await page.getByRole('button', { name: 'Account and settings' }).click();
  await page.getByRole('menuitemradio', { name: 'Keep my question at the top' }).click();
  const first = await ask('The first question');
  await tell(first, 1, 60);
  const topOfView = (await page.locator('#messages').boundingBox())!.y;
  const stands = async (text: string) => (await topOf(text)) - topOfView;
  expect(await stands('The first question')).toBeGreaterThan(0);
  expect(await stands('The first question')).toBeLessThan(80);
  await jump().waitFor();
  first.end();
  await ended(page);

  const second = await ask('The second question');
  await logOf(page).getByText('The second question', { exact: true }).waitFor();
  await frames();
  const before = await stands('The second question');
  expect(before).toBeGreaterThan(0);
  expect(before).toBeLessThan(40);
  second.say('Short.\n\n');
  await logOf(page).getByText('Short.').waitFor();
  await frames();
  expect(await stands('The second question')).toBe(before);
  await tell(second, 101, 160);
  expect(await stands('The second question')).toBe(before);
  second.end();
  await ended(page);
  await frames();
  expect(await stands('The second question')).toBe(before);
  await jump().click();
  expect((await view()).below).toBeLessThanOrEqual(1);
});

describe.each([
  ['by the browser', undefined],
  ['by the page, where the browser cannot', '#messages { overflow-anchor: none }'],
])('[18] what is read stays in its place, %s', (_, css) => {
  it('while the answer, a table and code grow below it, and after older messages have come above', async () => {
    await arrive();
    model.always = 'Yes, this is an answer of one line.';
    let conversation_id: string | undefined;
    for (let i = 1; i <= 75; i++) {
      const made = await server.api<{ conversation_id: string }>(person.name, 'chat', {
        message: `Question ${i}`,
        ...(conversation_id && { conversation_id }),
      });
      ({ conversation_id } = made);
    }
    model.always = undefined;
    // Short conversations are soon read whole; a long one is not, and that is what is looked at here.
    await page.route('**/events?*', (route) => route.abort());
    person.expected = /ERR_FAILED/;
    await page.goto(`/c/${conversation_id}`);
    await logOf(page).getByText('Question 75', { exact: true }).waitFor();
    if (css)
      await page.evaluate((text) => {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(text);
        document.adoptedStyleSheets.push(sheet);
      }, css);
    const answer = await ask('And now?');
    await tell(answer, 1, 5);
    // Rows far away are drawn once they are near.
    const rows = logOf(page).locator('[data-row]');
    await rows.nth(-17).evaluate((el) => el.scrollIntoView({ block: 'start' }));
    await logOf(page).getByText('Question 62', { exact: true }).waitFor();
    await jump().waitFor();
    await frames();
    const read = await topOf('Question 62');
    answer.say('| a | b |\n|---|---|\n');
    for (let i = 0; i < 5; i++) answer.say(`| ${'wide '.repeat(i * 9)} | ${i} |\n`);
    answer.say('\n```go\nfunc main() {\n\tprintln("x")\n}\n```\n\n');
    await tell(answer, 6, 60);
    expect(await topOf('Question 62')).toBe(read);
    answer.end();
    await ended(page);
    await frames();
    expect(await topOf('Question 62')).toBe(read);

    // To the very top, where the browser alone would show the oldest of what comes.
    const before = await rows.count();
    const oldest = await rows.first().getAttribute('data-row');
    await page.evaluate(() => document.getElementById('messages')!.scrollTo(0, 0));
    await rows.nth(before).waitFor({ state: 'attached' });
    await frames();
    const row = logOf(page).locator(`[data-row="${oldest}"]`);
    expect(oldest).not.toBe(await rows.first().getAttribute('data-row'));
    const top = (await row.boundingBox())!.y;
    expect(top).toBeGreaterThan(0);
    expect(top).toBeLessThan(300);
  });

  it('while steps above it unfold', async () => {
    await arrive();
    if (css)
      await page.evaluate((text) => {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(text);
        document.adoptedStyleSheets.push(sheet);
      }, css);
    const first = await ask('Look four times');
    for (let i = 0; i < 4; i++) first.call(`c${i}`, 'list_tasks', {});
    first.end('tool_calls');
    const second = await model.next();
    await tell(second, 1, 40);
    second.end();
    await ended(page);
    await logOf(page)
      .getByText('Line 20 of it.')
      .evaluate((el) => el.scrollIntoView({ block: 'start' }));
    await jump().waitFor();
    const read = await topOf('Line 22 of it.');
    await page.getByRole('button', { name: /^4 steps/ }).evaluate((el) => (el as HTMLElement).click());
    await logOf(page).locator('[data-call]').first().waitFor({ state: 'attached' });
    await frames();
    expect(Math.abs((await topOf('Line 22 of it.')) - read)).toBeLessThanOrEqual(1);
  });
});

it('[18] a card that is opened at the end stays under the pointer', async () => {
  await arrive();
  const first = await ask('Tell me');
  await tell(first, 1, 60);
  first.call('c1', 'list_tasks', { status: 'all' }).end('tool_calls');
  (await model.next()).say('That is all.').end();
  await ended(page);
  expect((await view()).below).toBeLessThanOrEqual(1);
  const card = logOf(page).getByRole('button', { name: /^Looked at/ });
  const before = (await card.boundingBox())!.y;
  await card.click();
  await logOf(page).getByText('Arguments').waitFor();
  await frames();
  expect((await card.boundingBox())!.y).toBeCloseTo(before, 0);
  await jump().waitFor();
});

it('[20] while nothing is written the page says that it works, and for how long', async () => {
  await arrive();
  const answer = await ask('Hello');
  await answerOf(page).getByText('Working').waitFor();
  await answerOf(page)
    .getByText(/^[1-9] s$/)
    .waitFor();
  answer.say('Hello.').end();
  await ended(page);
  expect(await answerOf(page).getByText('Working').count()).toBe(0);
});

it('[21] who wants no motion has none, also while an answer is written', async () => {
  await arrive({ reducedMotion: 'reduce' });
  const answer = await ask('Hello');
  await answerOf(page).getByText('Working').waitFor();
  const moving = () =>
    page.evaluate(
      () =>
        document
          .getAnimations()
          .filter((a) => a.playState === 'running' && a.effect!.getTiming().iterations === Infinity).length,
    );
  expect(await moving()).toBe(0);
  await tell(answer, 1, 60);
  expect((await view()).below).toBeLessThanOrEqual(1);
  expect(await moving()).toBe(0);
  answer.end();
  await ended(page);
});

it('[19] [22] code gets its colours when it is whole, and nothing else about it changes', async () => {
  await arrive();
  const answer = await ask('Show me');
  answer.say('Here:\n\n```go\nfunc main() {\n\tprintln("a very long line ');
  const pre = logOf(page).locator('pre');
  await pre.getByText('func main').waitFor();
  answer.say(`${'x'.repeat(300)}")\n}\n`);
  await pre.getByText('}').waitFor();
  await frames();
  const before = await pre.boundingBox();
  expect(await pre.locator('span').count()).toBe(0);
  answer.say('```\n\nDone.');
  await pre.locator('.code-keyword').getByText('func').waitFor();
  expect(await pre.boundingBox()).toEqual(before);
  expect(await pre.innerText()).toContain('func main() {\n\tprintln(');
  expect(await pre.evaluate((el) => el.scrollWidth > el.clientWidth)).toBe(true);
  await logOf(page).getByRole('button', { name: 'Wrap lines' }).click();
  expect(await pre.evaluate((el) => el.scrollWidth > el.clientWidth)).toBe(false);
  answer.end();
  await ended(page);
});

it('[26] the exact time of a message shows when its message has the focus', async () => {
  await arrive();
  (await ask('Hello')).say('Good morning.').end();
  await ended(page);
  await composerOf(page).focus();
  await page.keyboard.press('Alt+ArrowUp');
  const time = answerOf(page).locator('time');
  expect(await time.innerText()).toBe('now');
  const shown = await time.evaluate((el) => [getComputedStyle(el, '::after').content, getComputedStyle(el).opacity]);
  expect(shown).toEqual([expect.stringMatching(new RegExp(`${new Date().getFullYear()}.*\\d:\\d\\d:\\d\\d`)), '1']);
});

it('[28] each line of a message has its own direction', async () => {
  await arrive();
  (await ask('one line\nשלום')).say('Good morning.').end();
  await ended(page);
  const sides = await logOf(page)
    .getByText('one line')
    .evaluate((el) => {
      const node = el.firstChild!;
      const box = el.getBoundingClientRect();
      const line = (from: number, to: number) => {
        const range = document.createRange();
        range.setStart(node, from);
        range.setEnd(node, to);
        const r = range.getBoundingClientRect();
        return r.left - box.left < box.right - r.right ? 'left' : 'right';
      };
      return [line(0, 3), line(9, 13)];
    });
  expect(sides).toEqual(['left', 'right']);
});
