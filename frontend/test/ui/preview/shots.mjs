/* global process, console, URL */
// Draws every scene at two widths and in two themes: node test/ui/preview/shots.mjs DIR [SCENE...]
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { chromium } from 'playwright-core';
import { createServer } from 'vite';

const [out, ...wanted] = process.argv.slice(2);
if (!out) throw new Error('where to?');
const all = [
  'empty',
  'chat',
  'tools',
  'running',
  'writing',
  'offline',
  'toast',
  'loading',
  'missing',
  'signin',
  'expired',
];
await mkdir(out, { recursive: true });

const server = await createServer({
  configFile: false,
  root: fileURLToPath(new URL('.', import.meta.url)),
  plugins: [react(), tailwindcss()],
  server: { host: '127.0.0.1', port: 0, fs: { strict: false } },
  logLevel: 'warn',
});
await server.listen();
const address = server.resolvedUrls?.local[0];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
try {
  for (const width of [1280, 390]) {
    for (const theme of ['light', 'dark']) {
      const page = await browser.newPage({
        viewport: { width, height: width === 390 ? 780 : 800 },
        colorScheme: theme,
        hasTouch: width === 390,
        isMobile: width === 390,
      });
      page.on('pageerror', (e) => console.error(String(e)));
      page.on('console', (m) => m.type() === 'error' && console.error(m.text()));
      for (const scene of wanted.length > 0 ? wanted : all) {
        await page.goto(`${address}?scene=${scene}&theme=${theme}`);
        await page.waitForSelector('h1, h2');
        // The banner of a lost connection waits two seconds.
        await page.waitForTimeout(scene === 'offline' ? 2600 : 700);
        await page.screenshot({ path: join(out, `${scene}-${width}-${theme}.png`) });
        if (width === 390 && scene === 'chat') {
          await page.getByRole('button', { name: 'Open the tasks' }).click();
          await page.waitForTimeout(500);
          await page.screenshot({ path: join(out, `sheet-tasks-${theme}.png`) });
          await page.keyboard.press('Escape');
          await page.getByRole('button', { name: 'Open the conversations' }).click();
          await page.waitForTimeout(500);
          await page.screenshot({ path: join(out, `sheet-list-${theme}.png`) });
        }
      }
      await page.close();
    }
  }
} finally {
  await browser.close();
  await server.close();
}
