import { render, type RenderResult } from '@testing-library/react';
import type { ReactNode } from 'react';

import { StoreProvider } from '../../src/core/react';
import type { AppState } from '../../src/core/state';
import { Announcer } from '../../src/ui/announce';
import { fetchAhead } from '../../src/ui/later';
import { createFakeStore, type FakeStore } from './fakeStore';
import './dialog';

// What comes in chunks of its own is there, as it is in a page that has been open for a moment.
beforeAll(fetchAhead);

/** Draws a part of the page on a store that holds state. */
export function show(ui: ReactNode, state: Partial<AppState> = {}): RenderResult & { store: FakeStore } {
  const store = createFakeStore(state);
  const result = render(ui, {
    wrapper: ({ children }) => (
      <StoreProvider store={store}>
        <Announcer>{children}</Announcer>
      </StoreProvider>
    ),
  });
  return { ...result, store };
}

/** The arguments of every call of an action so far. */
export function callsOf(store: FakeStore, name: string): unknown[][] {
  return store.calls.filter((c) => c.name === name).map((c) => c.args);
}
