import { RotateCcw } from 'lucide-react';
import { useState } from 'react';

import { useActions } from '../core/react';
import { more } from '../i18n/more';
import type { Call } from '../protocol/types';
import { useAnnounce } from '../ui/announce';
import { Button } from '../ui/Button';

/** Carries out by hand what the server promises has not been and never will be. */
export function Rerun({ call }: { call: Call }) {
  const actions = useActions();
  const announce = useAnnounce();
  const [state, setState] = useState<'' | 'busy' | 'done'>('');

  async function run() {
    setState('busy');
    const outcome = await actions.callTool(call.name, call.arguments as object);
    setState(outcome.ok ? 'done' : '');
    if (outcome.ok) announce(more.rerun.done);
    else if (outcome.error) actions.fail(outcome.error);
  }

  if (state === 'done') return <span>{more.rerun.done}</span>;
  return (
    <Button kind="quiet" disabled={state === 'busy'} onClick={() => void run()} className="relative px-2 text-meta">
      <RotateCcw size={16} aria-hidden />
      {more.rerun.run}
    </Button>
  );
}
