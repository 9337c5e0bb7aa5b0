import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { App } from './app';
import { StoreProvider } from './core/react';
import { hasUnsent } from './core/selectors';
import { createStore } from './core/store';
import { preferred, speak } from './i18n/language';
import { t } from './i18n/t';
import { createApi } from './net/api';
import { createSession } from './net/session';
import { createSocket, type Socket } from './net/socket';
import { uuidv7 } from './net/uuid';
import { preload } from './routes';
import { fetchAhead } from './ui/later';
import { loadChoice } from './ui/prefs';
import './styles/main.css';

const root = document.getElementById('root');
if (!root) throw new Error('index.html has no root element');

const now = () => Date.now();
const hidden = () => document.visibilityState === 'hidden';

const api = createApi({
  fetch: (...args) => fetch(...args),
  token: (renew) => session.token(renew),
  refused: () => session.refused(),
});
const session = createSession({ fetchToken: (user) => api.devToken(user), storage: localStorage, now });
const sockets = new Set<Socket>();

const store = createStore({
  api,
  session,
  connect(userId, events) {
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = createSocket({
      url: `${scheme}//${location.host}/api/${encodeURIComponent(userId)}/ws`,
      open: (url, protocol) => new WebSocket(url, protocol),
      token: () => session.token(),
      events,
      now,
      random: Math.random,
    });
    const forget = session.onRenewed((token) => socket.refresh(token));
    sockets.add(socket);
    return {
      send: (frame) => socket.send(frame),
      reconnectNow: () => socket.reconnectNow(),
      close() {
        forget();
        sockets.delete(socket);
        socket.close();
      },
    };
  },
  newId: () => uuidv7(),
  now,
  hidden,
  texts: t.toasts,
  timezone: () => Intl.DateTimeFormat().resolvedOptions().timeZone,
  storage: sessionStorage,
});

const check = () => {
  for (const socket of sockets) socket.check();
};
addEventListener('online', check);
addEventListener('offline', check);
addEventListener('focus', check);
document.addEventListener('visibilitychange', () => {
  if (hidden()) return;
  store.visible();
  check();
});
addEventListener('beforeunload', (e) => {
  if (hasUnsent(store.getState())) e.preventDefault();
});

// The question that everything waits for goes out first.
const started = store.start();
if (session.remembered() !== undefined) preload();
void started.then(() => {
  // Safari has no idle callback.
  const idle = 'requestIdleCallback' in globalThis ? requestIdleCallback : setTimeout;
  idle(() => void fetchAhead());
});
void speak(preferred(loadChoice('language'), navigator.languages), navigator.languages).then(() =>
  createRoot(root).render(
    <StrictMode>
      <StoreProvider store={store}>
        <App />
      </StoreProvider>
    </StrictMode>,
  ),
);
