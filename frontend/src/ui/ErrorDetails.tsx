import { explain } from '../i18n/errors';
import { t } from '../i18n/t';
import { CopyButton } from './CopyButton';
import type { ErrorNoteProps } from './ErrorNote';

/** How much of a reference is shown; all of it is copied. */
const shown = 8;

export function ErrorDetails({ error, kept, children }: ErrorNoteProps) {
  const text = explain(error.of ?? 'requests', error.code, error.message);
  // The server's own words may say already what is kept.
  const said = kept ?? (/\b(kept|saved|safe)\b/.test(text.what) ? undefined : text.kept);
  const reference = error.requestId;
  return (
    <span className="block min-w-0">
      <span dir="auto" className="block font-medium break-words">
        {text.what}
      </span>
      <span className="block text-meta text-muted">
        {said} {text.next}
      </span>
      {(children ?? reference) !== undefined && (
        <span className="mt-1 flex flex-wrap items-center gap-2 text-text">
          {children}
          {reference !== undefined && (
            <span className="flex items-center gap-1 font-mono text-caption text-muted">
              {t.common.reference(reference.slice(-shown))}
              <CopyButton label={t.common.copyReference} text={() => `${error.code} ${reference}`} />
            </span>
          )}
        </span>
      )}
    </span>
  );
}
