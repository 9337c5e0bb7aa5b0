import { Check, Copy } from 'lucide-react';
import { useEffect, useState } from 'react';

import { t } from '../i18n/t';
import { useAnnounce } from './announce';
import { IconButton } from './Button';
import { copy } from './copy';

/** Copies text and says so, also aloud. */
export function CopyButton({ label, text, className }: { label: string; text: () => string; className?: string }) {
  const [state, setState] = useState<'' | 'copied' | 'failed'>('');
  const announce = useAnnounce();

  useEffect(() => {
    if (state === '') return;
    const timer = setTimeout(() => setState(''), 2000);
    return () => clearTimeout(timer);
  }, [state]);

  async function press() {
    try {
      await copy(text());
      setState('copied');
      announce(t.common.copied);
    } catch {
      setState('failed');
      announce(t.common.copyFailed);
    }
  }

  const said = state === 'copied' ? t.common.copied : state === 'failed' ? t.common.copyFailed : label;
  return (
    <IconButton label={said} className={className} onClick={() => void press()}>
      {state === 'copied' ? <Check size={16} aria-hidden className="text-ok" /> : <Copy size={16} aria-hidden />}
    </IconButton>
  );
}
