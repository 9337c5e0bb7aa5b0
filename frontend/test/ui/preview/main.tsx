import { createRoot } from 'react-dom/client';

import { App } from '../../../src/app';
import { StoreProvider } from '../../../src/core/react';
import '../../../src/styles/main.css';
import { createFakeStore } from '../fakeStore';
import { scenes } from './scenes';

// ?scene=chat&theme=dark&dir=rtl shows one state of the page; nothing works behind it.
const query = new URLSearchParams(location.search);
const scene = scenes[query.get('scene') ?? 'chat'];
const root = document.getElementById('root');
if (!scene || !root) throw new Error('no such scene');
document.documentElement.dataset.theme = query.get('theme') ?? 'system';
document.documentElement.dir = query.get('dir') ?? 'ltr';
history.replaceState(null, '', scene.path);
const store = createFakeStore(scene.state);
// For scripts that play something.
Object.assign(globalThis, { previewStore: store });
createRoot(root).render(
  <StoreProvider store={store}>
    <App />
  </StoreProvider>,
);
