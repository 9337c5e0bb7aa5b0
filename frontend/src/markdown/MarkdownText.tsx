import { lazy, Suspense } from 'react';

import type { MarkdownProps } from './Markdown';

/** Words as they are: until the reader of markdown has come, or where it does not come. */
function Plain({ text }: MarkdownProps) {
  return (
    <p dir="auto" className="prose whitespace-pre-wrap">
      {text}
    </p>
  );
}

// On its way as soon as the page is, and not part of what the first view waits for.
const loading = import('./Markdown').then(
  (module) => ({ default: module.Markdown }),
  () => ({ default: Plain }),
);
const Markdown = lazy<typeof Plain>(() => loading as Promise<{ default: typeof Plain }>);

/** Text with markdown in it. */
export function MarkdownText(props: MarkdownProps) {
  return (
    <Suspense fallback={<Plain {...props} />}>
      <Markdown {...props} />
    </Suspense>
  );
}
