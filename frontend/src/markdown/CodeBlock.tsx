import { WrapText } from 'lucide-react';
import { useState } from 'react';

import { t } from '../i18n/t';
import { IconButton } from '../ui/Button';
import { CopyButton } from '../ui/CopyButton';
import { cx } from '../ui/cx';

/** A block of code: its language, a button to copy it, and one to break long lines. */
export function CodeBlock({ code, lang }: { code: string; lang?: string }) {
  const [wrap, setWrap] = useState(false);
  const language = lang?.trim().split(/\s/, 1)[0]?.slice(0, 32) ?? '';
  const label = language === '' ? t.markdown.plain : language;
  return (
    <figure className="overflow-hidden rounded-md border border-line bg-surface">
      <figcaption className="flex items-center justify-between border-b border-line ps-3 pe-1">
        <span className="font-mono text-caption text-muted">{label}</span>
        <span className="no-print flex">
          <IconButton
            label={t.markdown.wrap}
            aria-pressed={wrap}
            className="aria-pressed:text-accent"
            onClick={() => setWrap(!wrap)}
          >
            <WrapText size={16} aria-hidden />
          </IconButton>
          <CopyButton label={t.markdown.copyCode} text={() => code} />
        </span>
      </figcaption>
      <pre
        dir="ltr"
        tabIndex={0}
        aria-label={t.markdown.codeBlock(label)}
        className={cx(
          'p-3 focus-visible:-outline-offset-2',
          wrap ? 'break-words whitespace-pre-wrap' : 'overflow-x-auto',
        )}
      >
        <code>{code}</code>
      </pre>
    </figure>
  );
}
