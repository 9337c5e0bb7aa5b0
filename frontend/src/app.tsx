import { useState } from 'react';

import { SignIn } from './auth/SignIn';
import { useActions, useStore } from './core/react';
import { t } from './i18n/t';
import { Shell } from './routes';
import { Announcer } from './ui/announce';
import { ConnectionBanner } from './ui/Banner';
import { Dialog } from './ui/Dialog';
import { ErrorBoundary } from './ui/ErrorBoundary';
import { later } from './ui/later';
import { Skeleton } from './ui/Skeleton';
import { OnTop, TopLayer } from './ui/topLayer';

const Toasts = later(() => import('./ui/Toasts').then((m) => m.Toasts), null, 'quiet');

/** The page. The store is around it. */
export function App() {
  return (
    <ErrorBoundary text={t.crash.panel}>
      <TopLayer>
        <Announcer>
          <Gate />
          <Toaster />
        </Announcer>
      </TopLayer>
    </ErrorBoundary>
  );
}

type View = 'unknown' | 'form' | 'page';

/** Shows the page to who is signed in, and the way in to everybody else. */
function Gate() {
  const status = useStore((s) => s.session.status);
  const [view, setView] = useState<View>('unknown');
  // Signing in again happens over the page, so that nothing typed is lost.
  const next: View = status === 'signed-in' || status === 'expired' ? 'page' : status === 'signed-out' ? 'form' : view;
  if (next !== view) setView(next);

  switch (next) {
    case 'page':
      return <Page expired={status !== 'signed-in'} />;
    case 'form':
      return (
        <main className="flex h-dvh items-center justify-center overflow-y-auto">
          <SignIn />
        </main>
      );
    case 'unknown':
      return <Starting />;
  }
}

function Page({ expired }: { expired: boolean }) {
  const userId = useStore((s) => s.session.userId);
  return (
    <>
      {/* Nothing of one person stays for the next. */}
      <Shell key={userId} />
      <Dialog open={expired} onClose={() => undefined} label={t.session.expiredTitle} closable={false}>
        <SignIn expired />
      </Dialog>
    </>
  );
}

/** Nobody knows yet who is there; the server may not even answer. */
function Starting() {
  const error = useStore((s) => s.session.error);
  const retryAt = useStore((s) => s.connection.retryAt);
  const actions = useActions();
  return (
    <main className="flex h-dvh flex-col">
      <h1 className="sr-only">{t.app.name}</h1>
      <ConnectionBanner
        online={error === undefined}
        retryAt={retryAt}
        waiting={0}
        onRetry={() => actions.reconnectNow()}
      />
      <Skeleton rows={6} className="measure pt-16" />
    </main>
  );
}

function Toaster() {
  const toasts = useStore((s) => s.toasts);
  const actions = useActions();
  return <OnTop>{toasts.length > 0 && <Toasts toasts={toasts} dismiss={(id) => actions.dismissToast(id)} />}</OnTop>;
}
