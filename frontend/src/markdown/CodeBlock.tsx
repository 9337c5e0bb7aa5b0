import { WrapText } from 'lucide-react';
import { useEffect, useState } from 'react';

import { t } from '../i18n/t';
import { IconButton } from '../ui/Button';
import { CopyButton } from '../ui/CopyButton';
import { cx } from '../ui/cx';
import type { Piece } from './highlight';

interface Props {
  code: string;
  lang?: string;
  /** Whether more of it may come. */
  growing?: boolean;
}

/** A block of code: its language, a button to copy it, and one to break long lines. */
export function CodeBlock({ code, lang, growing = false }: Props) {
  const [wrap, setWrap] = useState(false);
  const language = lang?.trim().split(/\s/, 1)[0]?.slice(0, 32) ?? '';
  const label = language === '' ? t.markdown.plain : language;
  const pieces = useHighlight(code, language, growing);
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
        <code>
          {pieces?.map((piece, i) =>
            piece.kind === undefined ? (
              piece.text
            ) : (
              <span key={i} className={`code-${piece.kind}`}>
                {piece.text}
              </span>
            ),
          ) ?? code}
        </code>
      </pre>
    </figure>
  );
}

/** The colours of a block that is whole. They come when the page has nothing better to do, and change no size. */
function useHighlight(code: string, language: string, growing: boolean): readonly Piece[] | undefined {
  const [done, setDone] = useState<{ code: string; language: string; pieces: readonly Piece[] | undefined }>();
  useEffect(() => {
    if (growing || language === '') return;
    let here = true;
    const cancel = whenIdle(() => {
      import('./highlight').then(
        ({ highlight }) => here && setDone({ code, language, pieces: highlight(code, language) }),
        () => undefined, // it stays plain
      );
    });
    return () => {
      here = false;
      cancel();
    };
  }, [code, language, growing]);
  return done?.code === code && done.language === language ? done.pieces : undefined;
}

/** Not every browser can tell when it is idle; there a moment has to do. */
function whenIdle(f: () => void): () => void {
  if (typeof requestIdleCallback === 'undefined') {
    const timer = setTimeout(f, 200);
    return () => clearTimeout(timer);
  }
  const id = requestIdleCallback(f);
  return () => cancelIdleCallback(id);
}
