import { X } from 'lucide-react';
import { useState } from 'react';

import { t } from '../i18n/t';
import { Button, IconButton } from '../ui/Button';

/** As many characters as the server takes. */
const most = 1000;

/** What was wrong with an answer, for those who run the server. */
export function Reason({ onDone }: { onDone: (reason: string | undefined) => void }) {
  const [text, setText] = useState('');
  const reason = text.trim();
  return (
    <form
      className="no-print flex flex-wrap items-center gap-1"
      onSubmit={(e) => {
        e.preventDefault();
        onDone(reason === '' ? undefined : reason);
      }}
    >
      <input
        aria-label={t.chat.reason}
        placeholder={t.chat.reason}
        value={text}
        maxLength={most}
        dir="auto"
        autoFocus
        onChange={(e) => setText(e.target.value)}
        onKeyDown={(e) => {
          if (e.key !== 'Escape' || e.nativeEvent.isComposing) return;
          e.stopPropagation();
          onDone(undefined);
        }}
        className="target-row min-w-40 flex-1 rounded-sm border border-edge bg-bg px-2.5 text-control"
      />
      <Button type="submit" disabled={reason === ''}>
        {t.chat.sendReason}
      </Button>
      <IconButton label={t.chat.noReason} onClick={() => onDone(undefined)}>
        <X size={16} aria-hidden />
      </IconButton>
    </form>
  );
}
