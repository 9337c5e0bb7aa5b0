import { act, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';

import { App } from '../../src/app';
import { StoreProvider } from '../../src/core/react';
import { Recording } from '../../src/core/recording';
import { what } from '../../src/replay/words';
import { goldens } from '../unit/golden';
import { createFakeStore } from './fakeStore';
import { browser, button, draw, events, live, log, ready, serve, slider } from './replayScene';
import { callsOf } from './show';

// Each draws the whole page.
jest.setTimeout(15_000);
beforeEach(() => browser());

describe('[68] the events', () => {
  const rows = () => within(events()).getAllByRole('option');
  const details = () => screen.getByRole('region', { name: 'The event' });

  test('are listed with what they say; the instant’s own stands out', async () => {
    await draw('/c/c1/replay?n=3');
    await ready();
    await within(events()).findByText('Completed “Pay rent”');
    expect(rows()).toHaveLength(19);
    expect(rows().find((o) => o.getAttribute('aria-selected') === 'true')).toHaveTextContent('Added “Milk”');
    expect(within(details()).getByText('Event 6 of 19')).toBeInTheDocument();
    expect(details()).toHaveTextContent('tool.returned · Tool server · add_task · 41 ms · Commit 3');
    expect(within(details()).getByText(/:41:02\.000$/)).toBeInTheDocument();
  });

  test('have their JSON, and that of the whole commit', async () => {
    const { user } = await draw('/c/c1/replay?n=3');
    await ready();
    const json = () => JSON.parse(within(details()).getByLabelText('JSON of the event').textContent) as unknown;
    expect(within(details()).queryByLabelText('JSON of the event')).toBeNull();
    await user.click(within(details()).getByRole('button', { name: 'JSON' }));
    expect(json()).toEqual(log[2]!.events[0]);
    await user.click(within(details()).getByRole('button', { name: 'Whole commit' }));
    expect(json()).toEqual(log[2]);
    await user.click(within(details()).getByRole('button', { name: 'Copy the JSON' }));
    expect(JSON.parse(await navigator.clipboard.readText())).toEqual(log[2]);
    // It stays open from one event to the next.
    await user.click(button('Next instant'));
    expect(json()).toEqual(log[3]);
  });

  test('can be filtered, and lead to their instant', async () => {
    const { user } = await draw('/c/c1/replay?n=1');
    await ready();
    const filter = within(screen.getByRole('group', { name: 'Show' }));
    await user.click(filter.getByRole('button', { name: /^You/ }));
    expect(rows().map((o) => o.textContent)).toEqual([
      expect.stringContaining('“Add milk”'),
      expect.stringContaining('“Complete 99”'),
    ]);
    await user.click(filter.getByRole('button', { name: /^Errors 2$/ }));
    await user.click(rows()[0]!);
    expect(slider()).toHaveAttribute('aria-valuenow', '8');
    expect(location.search).toBe('?n=8');
    expect(details()).toHaveTextContent('tool.returned');
    await user.click(rows()[1]!);
    expect(details()).toHaveTextContent('run.failed');
    expect(details()).toHaveTextContent('2.0 s');
  });

  test('are walked through by arrows, only those that the filter shows', async () => {
    const { user } = await draw('/c/c1/replay?n=4');
    await ready();
    await user.click(screen.getByRole('button', { name: /^Errors/ }));
    events().focus();
    await user.keyboard('{ArrowDown}');
    expect(slider()).toHaveAttribute('aria-valuenow', '8');
    expect(events()).toHaveAttribute('aria-activedescendant', rows()[0]!.id);
    await user.keyboard('{ArrowDown}{ArrowDown}');
    expect(details()).toHaveTextContent('run.failed');
    await user.keyboard('{ArrowUp}');
    expect(details()).toHaveTextContent('tool.returned');
  });

  test('lead to the conversation that changed a task meanwhile', async () => {
    const { user } = await draw('/c/c1/replay?n=6');
    await ready();
    await user.click((await within(events()).findByText('Deleted “Milk”')).closest('[role=option]')!);
    await user.click(within(details()).getByRole('button', { name: 'Open that conversation' }));
    expect(location.pathname).toBe('/c/c9');
  });

  test('of a kind that did not happen are said not to have', async () => {
    const { user } = await draw('/c/c1/replay?n=1', { commits: log.slice(0, 1) });
    await ready();
    await user.click(screen.getByRole('button', { name: /^Errors 0$/ }));
    expect(screen.getByText('Nothing of this kind happened.')).toBeInTheDocument();
  });

  test('each have words, in every log that there is', () => {
    for (const { commits } of goldens()) {
      const r = new Recording(commits[0]!.user_id, commits[0]!.conversation_id);
      for (const c of commits) r.add(c);
      for (const e of r.entries()) expect(what(e)).toMatch(/\S/);
    }
  });
});

describe('[68] the address', () => {
  test('is that of the instant once the reader rests; jumps can be gone back', async () => {
    const { user } = await draw('/c/c1/replay?n=3');
    await ready();
    await user.click(button('Next instant'));
    expect(location.search).toBe('?n=3');
    await waitFor(() => expect(location.search).toBe('?n=4'));
    await user.click(button('To the first instant'));
    expect(location.search).toBe('?n=1');
    await user.click(button('To now'));
    expect(location.search).toBe('');
    act(() => history.back());
    await waitFor(() => expect(slider()).toHaveAttribute('aria-valuenow', '1'));
    act(() => history.back());
    await waitFor(() => expect(slider()).toHaveAttribute('aria-valuenow', '4'));
    act(() => history.forward());
    await waitFor(() => expect(slider()).toHaveAttribute('aria-valuenow', '1'));
  });

  test.each([
    ['?n=99', '8'],
    ['?n=0', '9'],
    ['?n=-4', '9'],
    ['?n=3.5', '9'],
    ['?n=abc', '9'],
    ['?n=', '9'],
    ['?n=99999999999999999999', '9'],
  ])('%s that is none leads to what there is', async (query, value) => {
    await draw(`/c/c1/replay${query}`);
    expect(await ready()).toHaveAttribute('aria-valuenow', value);
  });

  test('can be given to others', async () => {
    const { user } = await draw('/c/c1/replay?n=3');
    await ready();
    await user.click(button('Copy a link to this instant'));
    expect(await navigator.clipboard.readText()).toBe(`${location.origin}/c/c1/replay?n=3`);
  });

  test('leads back to the conversation', async () => {
    const { user } = await draw('/c/c1/replay?n=3');
    await ready();
    expect(document.title).toBe('Replay of “New conversation” · Parley');
    await user.click(button('Back to the conversation'));
    expect(location.pathname).toBe('/c/c1');
    expect(screen.getByRole('textbox', { name: 'Message Parley' })).toBeInTheDocument();
  });

  test('[29] “why did it do that” opens the replay at that message', async () => {
    history.replaceState(null, '', '/c/c1');
    const store = createFakeStore({ open: { id: 'c1', status: 'live', state: live } });
    serve(store);
    render(
      <StoreProvider store={store}>
        <App />
      </StoreProvider>,
    );
    const user = userEvent.setup();
    await user.click(screen.getAllByRole('button', { name: 'Why did it do that?' })[1]!);
    expect(location.pathname + location.search).toBe('/c/c1/replay?n=6');
    expect(await ready()).toHaveAttribute('aria-valuenow', '6');
    act(() => history.back());
    await user.click(await screen.findByRole('button', { name: 'Replay' }));
    expect(location.pathname + location.search).toBe('/c/c1/replay');
  });
});

describe('[68] the export', () => {
  const saved: { name: string; text: Promise<string> }[] = [];
  beforeEach(() => {
    saved.length = 0;
    const blobs = new Map<string, Blob>();
    URL.createObjectURL = (b) => {
      blobs.set('blob:1', b as Blob);
      return 'blob:1';
    };
    URL.revokeObjectURL = () => undefined;
    jest.spyOn(HTMLAnchorElement.prototype, 'click').mockImplementation(function (this: HTMLAnchorElement) {
      const blob = blobs.get(this.href)!;
      const text = new Promise<string>((resolve) => {
        const reader = new FileReader();
        reader.onload = () => resolve(reader.result as string);
        reader.readAsText(blob);
      });
      saved.push({ name: this.download, text });
    });
  });
  afterEach(() => jest.restoreAllMocks());

  test.each([
    ['/c/c1/replay?n=3', 'Up to instant 3', 'Text to read (Markdown)', 'c1-3.md', { format: 'markdown', at: 3 }],
    [
      '/c/c1/replay',
      'The whole conversation',
      'Events as stored (JSON lines)',
      'c1.jsonl',
      { format: 'jsonl', at: undefined },
    ],
  ])('of %s is %s', async (path, label, item, name, asked) => {
    const exported = jest.fn(() => Promise.resolve('what the server wrote'));
    const { store, user } = await draw(path, { exported });
    await ready();
    await user.click(button('Export'));
    expect(screen.getByText(label)).toBeInTheDocument();
    await user.click(screen.getByRole('menuitem', { name: item }));
    await waitFor(() => expect(saved.map((s) => s.name)).toEqual([name]));
    expect(exported).toHaveBeenCalledWith(asked);
    expect(callsOf(store, 'readText').map((args) => args[0])).toEqual([['conversations', 'c1', 'export']]);
    expect(await saved[0]!.text).toBe('what the server wrote');
    expect(callsOf(store, 'toast')).toEqual([['info', `Saved ${name}`]]);
  });

  test('that fails says why', async () => {
    const { store, user } = await draw('/c/c1/replay');
    await ready();
    await user.click(button('Export'));
    await user.click(screen.getByRole('menuitem', { name: 'Text to read (Markdown)' }));
    await waitFor(() => expect(callsOf(store, 'fail')).toMatchObject([[{ message: 'The server cannot be reached.' }]]));
    expect(saved).toEqual([]);
  });
});
