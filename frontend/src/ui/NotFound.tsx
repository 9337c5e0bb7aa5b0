import { useEffect } from 'react';

import { t } from '../i18n/t';
import { Button } from './Button';

interface Props {
  title?: string;
  text: string;
  onBack: () => void;
  /** Brings back what is gone. */
  onRestore?: (() => void) | undefined;
}

/** An address that leads nowhere, to what is not the reader's, or to what was deleted. */
export function NotFound({ title = t.notFound.title, text, onBack, onRestore }: Props) {
  useEffect(() => {
    document.title = t.app.pageTitle(title);
  }, [title]);
  return (
    <div className="measure flex min-h-0 flex-1 flex-col items-start justify-center gap-3">
      <h2 className="text-h1 font-semibold">{title}</h2>
      <p className="text-body text-muted">{text}</p>
      <span className="flex flex-wrap gap-2">
        {onRestore && (
          <Button kind="primary" onClick={onRestore}>
            {t.notFound.restore}
          </Button>
        )}
        <Button onClick={onBack}>{t.notFound.back}</Button>
      </span>
    </div>
  );
}
