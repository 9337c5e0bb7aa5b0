import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page, Request } from 'playwright-core';

import { composerOf, ended, launch, logOf, Person, say, tasksOf } from './browser';
import { hostile } from './hostile';
import { ScriptedModel } from './model';
import { Server } from './server';

jest.setTimeout(120_000);

let model: ScriptedModel;
let server: Server;
let browser: Browser;

beforeAll(async () => {
  model = await ScriptedModel.start((said) => {
    const text = hostile[Number(/^Say (\d+)$/.exec(said)?.[1])] ?? said;
    if (said.startsWith('Add ')) return { pieces: ['Done.'], call: { name: 'add_task', arguments: { title: said } } };
    // In small pieces, so that everything half-written has its moment on the page.
    return { pieces: text.match(/[^]{1,6}/g) ?? [], rate: 200, title: text.slice(0, 60) };
  });
  [server, browser] = await Promise.all([Server.start({ model: model.url }), launch()]);
});
afterAll(async () => {
  await browser.close();
  await server.stop();
  await model.stop();
});

/** What no text may put into a page of ours. */
const forbidden =
  'script:not([src^="/assets/"]), iframe, frame, object, embed, style, base, img, video, audio, source, math, form:not(#root form), ' +
  'meta[http-equiv], svg script, svg use, svg foreignObject, [srcdoc], [srcset], [background], [formaction], [ping], ' +
  '[role=log] :is(form, dialog:not(.sheet), link, meta, input:not([type=checkbox][disabled]), textarea, select, [style], [name], [autofocus])';

/** Looks at a page from its first moment: what was put into it, however shortly, and what a script has done. */
async function guarded(): Promise<{ person: Person; page: Page; found: string[] }> {
  const person = await Person.arrive(browser, server);
  const found: string[] = [];
  await person.context.exposeFunction('parleyFound', (what: string) => found.push(what));
  await person.context.addInitScript((selector) => {
    const report = (window as unknown as { parleyFound: (what: string) => void }).parleyFound;
    const look = (el: Element) => {
      if (el.matches(selector)) report(el.outerHTML.slice(0, 200));
      for (const { name, value } of el.attributes) {
        if (name.startsWith('on')) report(`${name} on ${el.tagName}`);
        const runs =
          /^(href|src|action|xlink:href)$/.test(name) && /^[\s\p{Cc}]*(javascript|data|vbscript|blob|file):/iu;
        if (runs && runs.test(value)) report(`${name}=${value}`);
      }
    };
    new MutationObserver((changes) => {
      for (const change of changes) {
        if (change.type === 'attributes') look(change.target as Element);
        for (const node of change.addedNodes) {
          if (!(node instanceof Element)) continue;
          look(node);
          node.querySelectorAll('*').forEach(look);
        }
      }
    }).observe(document, { subtree: true, childList: true, attributes: true });
  }, forbidden);
  const leaves = (r: Request) => {
    if (new URL(r.url()).origin !== server.url) found.push(`request to ${r.url()}`);
  };
  person.context.on('request', leaves);
  const page = await person.open();
  page.on('dialog', (d) => {
    found.push(`dialog: ${d.message()}`);
    void d.dismiss();
  });
  page.on('websocket', (ws) => {
    if (new URL(ws.url()).host !== new URL(server.url).host) found.push(`socket to ${ws.url()}`);
  });
  page.on('frameattached', (f) => found.push(`frame ${f.url()}`));
  person.context.on('page', (p) => found.push(`window ${p.url()}`));
  return { person, page, found };
}

/** Ids are the page's own, and each is there once. */
const clashes = () => {
  const ids = [...document.querySelectorAll('[id]')].map((el) => el.id);
  return ids.filter((id, i) => ids.indexOf(id) !== i);
};

/** Links that a text made, and what would be wrong with them; the page's own are times. */
const badLinks = () =>
  [...document.querySelectorAll<HTMLAnchorElement>('[role=log] a[href]:not(:has(> time))')]
    .filter((a) => {
      const rel = (a.getAttribute('rel') ?? '').split(' ');
      const safe = ['noopener', 'noreferrer', 'nofollow'].every((r) => rel.includes(r)) && a.target === '_blank';
      return !/^(https?:|mailto:)/.test(a.getAttribute('href') ?? '') || !safe;
    })
    .map((a) => a.outerHTML);

it('[27] whatever a model writes, no script runs, nothing is asked elsewhere, and nothing but text comes of it', async () => {
  const { person, page, found } = await guarded();
  // Several in each conversation, so that each is the title of one now and then.
  for (const [i, text] of hostile.entries()) {
    if (i % 8 === 0)
      await page
        .getByRole('link', { name: 'New chat' })
        .or(page.getByRole('button', { name: 'New chat' }))
        .first()
        .click();
    await say(page, `Say ${i}`);
    await logOf(page).getByText(`Say ${i}`, { exact: true }).waitFor();
    await ended(page);
    expect({ text, links: await page.evaluate(badLinks), ids: await page.evaluate(clashes), found }).toEqual({
      text,
      links: [],
      ids: [],
      found: [],
    });
  }
  // The same from storage, whole and at once.
  await page.reload();
  await logOf(page)
    .getByText(`Say ${hostile.length - 1}`, { exact: true })
    .waitFor();
  expect(found).toEqual([]);
  expect(await page.evaluate(() => 'owned' in window)).toBe(false);
  await person.leave();
});

it('[28] whatever a person writes, and names a task, is shown as it is', async () => {
  const { person, page, found } = await guarded();
  const titles = hostile.filter((text) => !text.includes('\n') && !text.includes('\t') && text.length < 150);
  expect(titles.length).toBeGreaterThan(20);
  for (const text of titles.slice(0, 6)) {
    await say(page, `Add ${text}`);
    await ended(page);
  }
  for (const text of titles.slice(6)) {
    await tasksOf(page).getByRole('textbox', { name: 'Add a task' }).fill(text);
    await tasksOf(page).getByRole('textbox', { name: 'Add a task' }).press('Enter');
    await tasksOf(page).getByRole('listitem').filter({ hasText: text.trim() }).first().waitFor();
  }
  await composerOf(page).fill(hostile.join('\n'));
  expect(found).toEqual([]);
  expect(await page.evaluate(() => 'owned' in window)).toBe(false);
  await person.leave();
});

describe('[27] the policy that stands behind it', () => {
  let policy: Map<string, string[]>;
  let html: string;
  beforeAll(async () => {
    const res = await fetch(server.url);
    html = await res.text();
    policy = new Map(
      (res.headers.get('Content-Security-Policy') ?? '').split(';').map((directive) => {
        const [name = '', ...values] = directive.trim().split(/\s+/);
        return [name, values];
      }),
    );
  });

  it('allows nothing inline, and no HTML from text', () => {
    expect(policy.get('default-src')).toEqual(["'none'"]);
    expect(policy.get('script-src')).toEqual(["'self'"]);
    expect(policy.get('style-src')).toEqual(["'self'"]);
    expect(policy.get('base-uri')).toEqual(["'none'"]);
    expect(policy.get('require-trusted-types-for')).toEqual(["'script'"]);
    expect(policy.get('trusted-types')).toEqual(["'none'"]);
    expect([...policy.values()].flat().filter((v) => /unsafe|^\*|^https?:$/.test(v))).toEqual([]);
    expect(html.match(/<style|<script(?![^>]*\ssrc="\/assets\/)|\son\w+=|\sstyle=/g)).toBeNull();
  });

  it('is kept by the browser', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    const asked: string[] = [];
    const elsewhere = createServer((req, res) => {
      asked.push(req.url ?? '');
      res.setHeader('Access-Control-Allow-Origin', '*').end();
    }).listen(0, '127.0.0.1');
    await once(elsewhere, 'listening');
    await page.goto(server.url);
    await page.getByRole('button', { name: /^Continue/ }).waitFor();
    const done = await page.evaluate(
      async (url) => {
        // What DevTools evaluates may evaluate text; a task of the page's own may not.
        await new Promise((next) => setTimeout(next));
        const tried: string[] = [];
        const attempt = (name: string, act: () => unknown) => {
          try {
            act();
            tried.push(name);
          } catch {
            // As it should be.
          }
        };
        attempt('HTML from text', () => (document.createElement('div').innerHTML = '<b>x</b>'));
        // eslint-disable-next-line @typescript-eslint/no-implied-eval, @typescript-eslint/no-unsafe-call -- what must not work
        attempt('a function from text', () => new Function('return 1')());
        attempt('a script from text', () => (document.createElement('script').text = 'window.owned = 1'));
        attempt('a policy of its own', () =>
          (
            window as unknown as { trustedTypes: { createPolicy: (name: string, rules: object) => unknown } }
          ).trustedTypes.createPolicy('any', { createHTML: (html: string) => html }),
        );
        const inline = document.createElement('script');
        inline.append('window.owned = 1');
        attempt('an inline script', () => {
          document.body.append(inline);
          if (!('owned' in window)) throw new Error();
        });
        const refused = (el: HTMLElement) =>
          new Promise((resolve) => {
            el.addEventListener('error', () => resolve(undefined), { once: true });
            el.addEventListener('load', () => resolve(tried.push(el.tagName)), { once: true });
            document.body.append(el);
          });
        const image = document.createElement('img');
        image.src = `${url}.png`;
        await refused(image);
        await fetch(url).then(
          () => tried.push('fetch'),
          () => undefined,
        );
        return tried;
      },
      `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/stolen`,
    );
    expect(done).toEqual([]);
    expect(asked).toEqual([]);
    await context.close();
    elsewhere.close();
  });
});
