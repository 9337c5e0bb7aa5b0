import { Check, Copy } from 'lucide-react';
import { useEffect, useState } from 'react';

import { t } from '../i18n/t';
import { useAnnounce } from './announce';
import { IconButton } from './Button';

/** Copies text and says so, also aloud. */
export function CopyButton({ label, text, className }: { label: string; text: () => string; className?: string }) {
  const [state, setState] = useState<'' | 'copied' | 'failed'>('');
  const announce = useAnnounce();

  useEffect(() => {
    if (state === '') return;
    const timer = setTimeout(() => setState(''), 2000);
    return () => clearTimeout(timer);
  }, [state]);

  async function copy() {
    try {
      await navigator.clipboard.writeText(text());
      setState('copied');
      announce(t.common.copied);
    } catch {
      setState('failed');
      announce(t.common.copyFailed);
    }
  }

  const said = state === 'copied' ? t.common.copied : state === 'failed' ? t.common.copyFailed : label;
  return (
    <IconButton label={said} className={className} onClick={() => void copy()}>
      {state === 'copied' ? <Check size={16} aria-hidden className="text-ok" /> : <Copy size={16} aria-hidden />}
    </IconButton>
  );
}
