import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { chromium, type BrowserContext, type Page } from 'playwright-core';

import { chromiumOptions, composerOf, ended, logOf, say } from '../e2e/browser';
import { Server } from '../e2e/server';
import { freePort } from '../engines/process';
import { figure } from '../figures';

jest.setTimeout(180_000);

/** It has packages of its own: `npm --prefix tools/lighthouse ci`. */
const lighthouse = resolve('../tools/lighthouse/node_modules/lighthouse/cli/index.js');

/** What a phone of the middle class shows over a slow line. Past `fail` a change is refused; `aim` is what we want. */
const budget = {
  'first-contentful-paint': { aim: 1_800, fail: 2_500 },
  'largest-contentful-paint': { aim: 1_800, fail: 2_500 },
  'total-blocking-time': { aim: 200, fail: 300 },
  'cumulative-layout-shift': { aim: 0.05, fail: 0.05 },
};
type Metric = keyof typeof budget;
const metrics = Object.keys(budget) as Metric[];

/** One run says little: a simulated phone is only as steady as the machine that simulates it. */
const runs = 3;

interface Report {
  audits: Record<Metric, { numericValue: number }>;
  categories: Record<'performance' | 'accessibility' | 'best-practices', { score: number }>;
}

let server: Server;
let context: BrowserContext;
let page: Page;
let profile: string;
let port: number;

beforeAll(async () => {
  if (!existsSync(lighthouse)) throw new Error('Lighthouse is not there: npm --prefix tools/lighthouse ci');
  profile = await mkdtemp(join(tmpdir(), 'parley-lighthouse-'));
  port = await freePort();
  server = await Server.start({ rate: 0 });
  const options = chromiumOptions();
  context = await chromium.launchPersistentContext(profile, {
    ...options,
    args: [...options.args, `--remote-debugging-port=${port}`],
  });
  page = await context.newPage();
});
afterAll(async () => {
  await context.close();
  await server.stop();
  await rm(profile, { recursive: true, force: true });
});

/** Lets Lighthouse load an address in the running browser, with nothing cached. */
async function load(url: string): Promise<Report> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      lighthouse,
      url,
      `--port=${port}`,
      '--form-factor=mobile',
      '--only-categories=performance,accessibility,best-practices',
      '--output=json',
      '--quiet',
      '--no-enable-error-reporting',
    ],
    { maxBuffer: 64 << 20 },
  );
  return JSON.parse(stdout) as Report;
}

async function median(url: string): Promise<Record<Metric, number> & { accessibility: number; practices: number }> {
  const reports: Report[] = [];
  while (reports.length < runs) reports.push(await load(url));
  const middle = (of: (r: Report) => number) => reports.map(of).sort((a, b) => a - b)[runs >> 1] ?? NaN;
  const values = Object.fromEntries(metrics.map((m) => [m, middle((r) => r.audits[m].numericValue)]));
  return {
    ...(values as Record<Metric, number>),
    accessibility: middle((r) => r.categories.accessibility.score),
    practices: middle((r) => r.categories['best-practices'].score),
  };
}

async function judge(what: string, url: string) {
  const got = await median(url);
  const seconds = (m: Metric) => `${(got[m] / 1000).toFixed(2)} s`;
  figure(
    `Lighthouse mobile, ${what}: FCP ${seconds('first-contentful-paint')}, LCP ${seconds('largest-contentful-paint')}, ` +
      `blocked ${got['total-blocking-time'].toFixed(0)} ms, shift ${got['cumulative-layout-shift'].toFixed(3)}, ` +
      `accessibility ${got.accessibility * 100}, best practices ${got.practices * 100}`,
  );
  for (const m of metrics) {
    if (got[m] > budget[m].aim) figure(`${what}: ${m} of ${got[m].toFixed(0)} is over the ${budget[m].aim} we want`);
  }
  expect(metrics.filter((m) => !(got[m] <= budget[m].fail))).toEqual([]);
  expect(got.accessibility).toBe(1);
}

it('the first visit is painted within its budget', () => judge('a first visit', server.url));

it('a conversation is painted within its budget', async () => {
  await page.goto(server.url);
  await page.getByRole('button', { name: /^Continue/ }).click();
  await composerOf(page).waitFor();
  await say(page, 'Add a task to buy groceries');
  await ended(page);
  await say(page, '/long 300');
  await ended(page);
  await logOf(page).getByText('Added “Buy groceries”').waitFor();
  await judge('a conversation', page.url());
});
