import { useState, type ReactNode } from 'react';

import { t } from '../i18n/t';
import { Button } from '../ui/Button';

/** From here on a message is folded. */
const long = 2000;

/** What the person wrote, word for word. */
export function Bubble({ text, children }: { text: string; children?: ReactNode }) {
  const [open, setOpen] = useState(false);
  const folded = text.length > long && !open;
  return (
    <div className="bubble w-fit max-w-[min(85%,40rem)] min-w-0 rounded-lg rounded-ee-sm bg-raised px-4 py-2">
      {/* Each line has its own direction. */}
      <p dir="auto" className="text-body break-words whitespace-pre-wrap [unicode-bidi:plaintext]">
        {folded ? `${text.slice(0, 600).trimEnd()}…` : text}
      </p>
      {text.length > long && (
        <Button kind="quiet" className="-mx-2 px-2" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? t.chat.showLess : t.chat.showAll}
        </Button>
      )}
      {children}
    </div>
  );
}
