/**
 * Takes the pictures of the documents from the real thing: a parley dev with the demo model, talked to through the page.
 *
 *   PARLEY_BIN=./parley PARLEY_CHROMIUM=/usr/bin/chromium node scripts/screenshots.mjs OUT_DIR
 *
 * Writes page-{1280,390}-{light,dark}.png and replay-{1280,390}-{light,dark}.png.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const out = process.argv[2];
const { PARLEY_BIN, PARLEY_CHROMIUM } = process.env;
if (!out || !PARLEY_BIN || !PARLEY_CHROMIUM) {
  console.error('usage: PARLEY_BIN=… PARLEY_CHROMIUM=… node scripts/screenshots.mjs OUT_DIR');
  process.exit(2);
}
mkdirSync(out, { recursive: true });
const root = mkdtempSync(join(tmpdir(), 'parley-shots-'));
chmodSync(root, 0o755); // PostgreSQL may run as another account

const server = spawn(
  PARLEY_BIN,
  ['dev', '--addr', '127.0.0.1:0', '--data-dir', join(root, 'data'), '--no-build', '--demo-rate', '0'],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
const url = await new Promise((resolve, reject) => {
  let text = '';
  server.stdout.on('data', (chunk) => {
    text += chunk;
    const found = /Open\s+(http:\S+)/.exec(text);
    if (found) resolve(found[1]);
  });
  server.on('exit', () => reject(new Error('parley dev ended')));
});

const browser = await chromium.launch({
  executablePath: PARLEY_CHROMIUM,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});

/** Signs in if asked to, then says each line and waits for its answer. */
async function talk(page, lines) {
  for (const line of lines) {
    await page.getByRole('textbox', { name: 'Message Parley' }).fill(line);
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await page.getByRole('button', { name: 'Send', exact: true }).waitFor({ timeout: 15_000 });
    await page.locator('[aria-busy="true"]').first().waitFor({ state: 'detached', timeout: 15_000 });
    await page.waitForTimeout(700); // the title and the panel settle; a picture only
  }
}

async function open(width, height, scheme) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, deviceScaleFactor: 1 });
  const page = await context.newPage();
  await page.goto(url);
  const enter = page.getByRole('button', { name: /Continue as/ });
  await enter.waitFor({ timeout: 10_000 });
  await enter.click();
  await page.getByRole('textbox', { name: 'Message Parley' }).waitFor();
  return { context, page };
}

try {
  const first = await open(1280, 800, 'light');
  await first.page.screenshot({ path: join(out, 'empty-1280-light.png') });
  await talk(first.page, ['Add buy groceries, call mom tomorrow and pay rent on Friday', 'mark the groceries as done']);
  const where = new URL(first.page.url()).pathname;
  await first.context.close();
  for (const [width, height] of [
    [1280, 860],
    [390, 844],
  ]) {
    for (const scheme of ['light', 'dark']) {
      const { context, page } = await open(width, height, scheme);
      await page.goto(url + where);
      await page.getByText('Pay rent').first().waitFor({ timeout: 10_000 });
      await page.waitForTimeout(800);
      await page.screenshot({ path: join(out, `page-${width}-${scheme}.png`) });
      await page.goto(`${url}${where}/replay`);
      await page.getByRole('slider').waitFor();
      await page.keyboard.press('Shift+ArrowLeft');
      await page.waitForTimeout(800);
      await page.screenshot({ path: join(out, `replay-${width}-${scheme}.png`) });
      await context.close();
    }
  }
} finally {
  await browser.close();
  server.kill('SIGINT');
  await new Promise((resolve) => server.once('exit', resolve));
  rmSync(root, { recursive: true, force: true });
}
