import type { Browser, BrowserContext, Page } from 'playwright-core';

import { cost } from './trace';

/**
 * What the work below cost a calm machine of the kind that the budgets were set on: two shared cores of an AMD EPYC, in
 * ms. The same machine has taken from 1 to 1.6 times as much within an hour, for the page as for this, with nothing
 * else to do: processor time counts what neighbours leave of caches and clock.
 */
const calm = 400;

/** Text that grows in a box whose end is kept in view: what a page does while it streams, without anything of ours. */
async function work(page: Page) {
  await page.evaluate(async () => {
    const box = document.querySelector('div')!;
    for (let i = 0; i < 150; i++) {
      await new Promise((done) => setTimeout(done, 20));
      if (i % 10 === 0) box.append(document.createElement('p'));
      const span = document.createElement('span');
      span.textContent = `${'some words of a text '.repeat(8)}${i} `;
      box.lastElementChild!.append(span);
      let sum = 0;
      for (let k = 0; k < 20_000; k++) sum += JSON.stringify({ k, sum: sum % 7 }).length;
      span.title = String(sum);
      box.scrollTop = box.scrollHeight;
    }
  });
}

/** How many times longer this machine takes at the moment than a calm one. */
export async function slowness(browser: Browser, context: BrowserContext): Promise<number> {
  const page = await context.newPage();
  try {
    await page.setContent('<div style="height: 90vh; overflow: auto; font: 16px/1.6 sans-serif"></div>');
    return (await cost(browser, page, () => work(page))).cpu / calm;
  } finally {
    await page.close();
  }
}
