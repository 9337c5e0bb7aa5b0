import { CircleAlert } from 'lucide-react';
import { useState } from 'react';

import { useActions, useStore } from '../core/react';
import { more } from '../i18n/more';
import { t } from '../i18n/t';
import { Button } from '../ui/Button';
import { ErrorNote } from '../ui/ErrorNote';
import { Mark } from '../ui/Mark';

const valid = /^[A-Za-z0-9_-]{1,64}$/;

/** The way in: with the development issuer a name is enough; a real issuer has its own page. */
export function SignIn({ expired = false }: { expired?: boolean }) {
  const session = useStore((s) => s.session);
  const config = useStore((s) => s.config);
  const actions = useActions();
  const [name, setName] = useState(session.userId ?? 'ana');
  const busy = session.status === 'signing-in';
  const ok = valid.test(name);

  return (
    <div className="flex w-full max-w-sm flex-col items-stretch gap-4 p-6">
      <div className="flex flex-col items-center gap-3 text-center">
        <Mark size={44} />
        {expired ? (
          <h2 className="text-h2 font-semibold">{t.session.expiredTitle}</h2>
        ) : (
          <h1 className="text-h1 font-semibold">{more.signIn.title}</h1>
        )}
        <p className="text-control text-balance text-muted">{expired ? more.signIn.expired : t.app.tagline}</p>
      </div>
      {session.error && (
        <div role="alert" className="flex items-start gap-2 rounded-sm bg-danger-soft px-3 py-2 text-control">
          <CircleAlert size={16} aria-hidden className="mt-0.5 shrink-0 text-danger" />
          <ErrorNote error={session.error} />
        </div>
      )}
      {config?.auth.mode === 'jwt' ? (
        <p className="text-center text-control">{more.signIn.issuer}</p>
      ) : (
        <form
          className="flex flex-col gap-3"
          onSubmit={(e) => {
            e.preventDefault();
            if (ok && !busy) void actions.signInAs(name);
          }}
        >
          {!expired && (
            <label className="flex flex-col gap-1 text-meta font-medium">
              {more.signIn.name}
              <input
                value={name}
                onChange={(e) => setName(e.target.value.trim())}
                autoComplete="username"
                autoCapitalize="none"
                spellCheck={false}
                maxLength={64}
                aria-invalid={name !== '' && !ok}
                aria-describedby="name-hint"
                className="target-row rounded-sm border border-edge bg-bg px-3 text-body font-normal"
              />
              <span id="name-hint" className="font-normal text-muted">
                {name !== '' && !ok ? more.signIn.invalidName : more.signIn.nameHint}
              </span>
            </label>
          )}
          <Button type="submit" kind="primary" disabled={!ok || busy} className="min-h-11 text-body">
            {busy ? more.signIn.signingIn : name === '' ? more.signIn.continue : more.signIn.continueAs(name)}
          </Button>
          {!expired && <p className="text-center text-meta text-balance text-muted">{more.signIn.dev}</p>}
        </form>
      )}
    </div>
  );
}
