import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

import {
  chromium,
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type Locator,
  type Page,
} from 'playwright-core';

import type { Conversation } from '../../src/protocol/types';
import type { Server } from './server';

/** The browser that a setting names, or one of these names in PATH. */
export function executable(setting: string, ...names: string[]): string {
  const given = process.env[setting];
  if (given) return given;
  for (const dir of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of names) {
      try {
        accessSync(join(dir, name), constants.X_OK);
        return join(dir, name);
      } catch {
        // Not this one.
      }
    }
  }
  throw new Error(`${setting} must name a browser`);
}

export function chromiumOptions() {
  return {
    executablePath: executable('PARLEY_CHROMIUM', 'chromium', 'chromium-browser', 'google-chrome'),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  };
}

export function launch(): Promise<Browser> {
  return chromium.launch(chromiumOptions());
}

let people = 0;

/** A person in a browser of their own, and what went wrong there. */
export class Person {
  readonly name: string;
  readonly problems: string[] = [];
  /** Complaints that a test asks for, as while the server is away. */
  expected: RegExp | undefined;
  readonly context: BrowserContext;
  private readonly server: Server;

  private constructor(context: BrowserContext, server: Server, name: string) {
    this.context = context;
    this.server = server;
    this.name = name;
  }

  static async arrive(
    browser: Browser,
    server: Server,
    options: BrowserContextOptions & { name?: string } = {},
  ): Promise<Person> {
    const { name = `person${++people}`, ...more } = options;
    const context = await browser.newContext({
      baseURL: server.url,
      locale: 'en-GB',
      timezoneId: 'Europe/Paris',
      viewport: { width: 1280, height: 800 },
      ...more,
    });
    context.setDefaultTimeout(15_000);
    const person = new Person(context, server, name);
    context.on('weberror', (e) => person.problems.push(`error: ${e.error().message}`));
    context.on('console', (m) => {
      if (m.type() !== 'error' && m.type() !== 'warning') return;
      if (person.expected?.test(m.text())) return;
      person.problems.push(`${m.type()}: ${m.text()}`);
    });
    // Chromium reports violations on the console too, but not all of them.
    await context.exposeFunction('parleyViolation', (what: string) => person.problems.push(`CSP: ${what}`));
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (e) => {
        const report = (window as unknown as { parleyViolation: (what: string) => void }).parleyViolation;
        report(`${e.effectiveDirective} ${e.blockedURI} ${e.sample}`);
      });
    });
    return person;
  }

  /** Opens a tab and signs in if the page asks. */
  async open(path = '/'): Promise<Page> {
    const page = await this.context.newPage();
    await page.goto(path);
    const composer = composerOf(page);
    const signIn = page.getByRole('button', { name: /^Continue/ });
    // An address that leads nowhere has neither.
    const nowhere = page.getByRole('button', { name: 'Start a new chat' });
    await composer.or(signIn).or(nowhere).first().waitFor();
    if (await signIn.isVisible()) {
      await page.getByRole('textbox', { name: 'Your name' }).fill(this.name);
      await signIn.click();
      await composer.waitFor();
    }
    return page;
  }

  /** What the log of the conversation on screen adds up to. */
  log(page: Page): Promise<Conversation> {
    return this.server.conversation(this.name, idOf(page));
  }

  async leave(): Promise<void> {
    await this.context.close();
    if (this.problems.length > 0) throw new Error(`the browser complained:\n${this.problems.join('\n')}`);
  }
}

export const composerOf = (page: Page) => page.getByRole('textbox', { name: 'Message Parley' });
export const logOf = (page: Page) => page.getByRole('log');
export const tasksOf = (page: Page) => page.getByRole('region', { name: 'Tasks', exact: true });
export const stopOf = (page: Page) => page.getByRole('button', { name: 'Stop', exact: true });

/** The n-th answer from the end. */
export const answerOf = (page: Page, fromEnd = 0): Locator =>
  logOf(page)
    .locator('[data-run]')
    .nth(-1 - fromEnd);

/** The conversation in the address. */
export function idOf(page: Page): string {
  const id = /\/c\/([^/?#]+)/.exec(page.url())?.[1];
  if (id === undefined) throw new Error(`no conversation in ${page.url()}`);
  return id;
}

export async function say(page: Page, text: string): Promise<void> {
  await composerOf(page).fill(text);
  // Enter breaks the line where one writes with a finger.
  if (await page.evaluate(() => matchMedia('(pointer: coarse)').matches)) {
    await page.getByRole('button', { name: 'Send', exact: true }).click();
  } else await composerOf(page).press('Enter');
}

/** Waits until the newest answer has ended, in one of the ways given. */
export async function ended(page: Page, ...how: ('completed' | 'cancelled' | 'failed')[]): Promise<Locator> {
  const wanted = how.length > 0 ? how : ['completed'];
  await page.waitForFunction(
    (states) => {
      const all = document.querySelectorAll('[role=log] [data-run]');
      return states.includes(all[all.length - 1]?.getAttribute('data-status') ?? '');
    },
    wanted,
    { timeout: 30_000 },
  );
  return answerOf(page);
}

/** Waits until the newest answer shows at least so many words, and returns them. */
export async function words(page: Page, atLeast: number): Promise<string[]> {
  const handle = await page.waitForFunction((n) => {
    const all = document.querySelectorAll<HTMLElement>('[role=log] [data-run]');
    const paragraphs = all[all.length - 1]?.querySelectorAll('p') ?? [];
    const found = [...paragraphs].flatMap((p) => p.textContent.split(/\s+/).filter(Boolean));
    return found.length >= n ? found : undefined;
  }, atLeast);
  return (await handle.jsonValue()) ?? [];
}
