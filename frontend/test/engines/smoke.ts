import { Server } from '../e2e/server';
import { figure } from '../figures';
import type { Engine, Tab } from './tab';

/** What the server's owner is called where nobody changes the name on the sign-in form. */
const name = 'ana';

const composer = 'textarea#composer';
const stop = 'form button[aria-label="Stop"]';

/** Words of the newest answer, once there are so many and its run is in the given state. */
function words(arg: { atLeast: number; status?: string }): string[] | undefined {
  const all = document.querySelectorAll<HTMLElement>('[role=log] [data-run]');
  const run = all[all.length - 1];
  if (!run || (arg.status !== undefined && run.dataset.status !== arg.status)) return undefined;
  const found = [...run.querySelectorAll('p')].flatMap((p) => p.textContent.split(/\s+/).filter(Boolean));
  return found.length >= arg.atLeast ? found : undefined;
}

/** Whether some text stands on the page. */
function said(text: string): true | undefined {
  return document.body.textContent.includes(text) ? true : undefined;
}

/** What every engine has to do: send, stream, go on after a reload and after an outage, stop. */
export function smoke(start: () => Promise<Engine>): void {
  let server: Server;
  let engine: Engine;
  let tab: Tab;
  let started: Engine | undefined;

  beforeAll(async () => {
    server = await Server.start({ rate: 20 });
    engine = started = await start();
    tab = engine.tab;
    figure(engine.version);
    await tab.open(server.url);
    await tab.click('form button[type=submit]');
    await tab.until((css) => (document.querySelector(css) ? true : undefined), composer);
  });
  afterAll(async () => {
    await started?.close();
    await server.stop();
  });
  beforeEach(async () => {
    await tab.open(server.url);
    await engine.problems(); // of the outage, for instance
  });

  const say = async (text: string) => {
    await tab.write(composer, text);
    await tab.press('Enter');
  };

  /** The text of the newest answer as the log has it. */
  const stored = async () => {
    const id = await tab.until(() => /^\/c\/([^/?#]+)/.exec(location.pathname)?.[1], undefined);
    const { runs } = await server.conversation(name, id);
    const run = runs.at(-1);
    const text = run?.receipt?.text ?? run?.steps?.map((s) => s.text).join(' ') ?? '';
    return { runs: runs.length, words: text.split(/\s+/).filter(Boolean) };
  };

  it('[1] [14] Enter sends, and the answer streams', async () => {
    await say('/long 60');
    const early = await tab.until(words, { atLeast: 3, status: 'in_progress' });
    expect(early.length).toBeLessThan(60);
    const shown = await tab.until(words, { atLeast: 60, status: 'completed' });
    expect(shown).toEqual((await stored()).words);
    expect(shown).toHaveLength(60);
    expect(await engine.problems()).toEqual([]);
  });

  it('[50] a reload in mid-answer goes on with the same text', async () => {
    await say('/long 80');
    const before = await tab.until(words, { atLeast: 10, status: 'in_progress' });
    await tab.reload();
    const after = await tab.until(words, { atLeast: before.length, status: 'in_progress' });
    expect(after.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
    const shown = await tab.until(words, { atLeast: 80, status: 'completed' });
    expect(shown).toEqual((await stored()).words);
    expect(await engine.problems()).toEqual([]);
  });

  it('[50] [51] a server that dies in mid-answer costs a pause, no word', async () => {
    await say('/long 80');
    await tab.until(words, { atLeast: 10, status: 'in_progress' });
    await server.kill();
    await tab.until(said, 'Reconnecting');
    await server.run();
    const shown = await tab.until(words, { atLeast: 80, status: 'completed' });
    const log = await stored();
    expect(shown).toEqual(log.words);
    expect(shown).toHaveLength(80);
    expect(log.runs).toBe(1);
  });

  it('[8] [9] Stop ends an answer, which keeps its text and says so', async () => {
    await say('/long 400');
    const before = await tab.until(words, { atLeast: 5, status: 'in_progress' });
    await tab.click(stop);
    const shown = await tab.until(words, { atLeast: before.length, status: 'cancelled' });
    await tab.until(said, 'Stopped');
    const kept = (await stored()).words;
    expect(kept.length).toBeLessThan(400);
    expect(shown.slice(0, kept.length)).toEqual(kept);
    expect(await engine.problems()).toEqual([]);
  });

  it('[30] [38] a tool call is a card and a task at once', async () => {
    await say('Add a task to buy groceries');
    await tab.until(said, 'Added “Buy groceries”');
    await tab.until(
      () => (document.querySelector('#tasks [type=checkbox], #tasks [role=checkbox]') ? true : undefined),
      undefined,
    );
    expect(await engine.problems()).toEqual([]);
  });
}
