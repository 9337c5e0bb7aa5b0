import { useState } from 'react';

import { t } from '../i18n/t';

/** A field for a new title. Enter and leaving it keep, Escape gives up. */
export function TitleField({ title, onDone }: { title: string; onDone: (title: string | undefined) => void }) {
  const [text, setText] = useState(title);
  const keep = () => onDone(text.trim() === '' ? undefined : text.trim());
  return (
    <input
      aria-label={t.sidebar.renameLabel}
      value={text}
      maxLength={200}
      dir="auto"
      autoFocus
      onFocus={(e) => e.target.select()}
      onChange={(e) => setText(e.target.value)}
      onBlur={keep}
      onKeyDown={(e) => {
        if (e.nativeEvent.isComposing) return;
        if (e.key === 'Enter') keep();
        if (e.key === 'Escape') {
          e.stopPropagation();
          onDone(undefined);
        }
      }}
      className="target-row w-full rounded-sm border border-edge bg-bg px-2.5 text-control"
    />
  );
}
