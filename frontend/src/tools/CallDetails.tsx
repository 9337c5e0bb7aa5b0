import { more } from '../i18n/more';
import type { Call } from '../protocol/types';
import { CopyButton } from '../ui/CopyButton';
import { pretty } from './summaries';

const words = more.call;

/** What a call was asked and what it answered, to the letter. */
export function CallDetails({ id, call }: { id: string; call: Call }) {
  return (
    <div id={id} className="space-y-2 ps-7.5 pe-1 pt-1 pb-2">
      <Json label={words.arguments} copy={words.copyArguments} value={call.arguments} />
      {call.result !== undefined && <Json label={words.result} copy={words.copyResult} value={call.result} />}
      {call.error && <Json label={words.error} copy={words.copyResult} value={call.error} />}
      {call.truncated === true && <p className="text-muted">{words.truncated}</p>}
      {call.late === true && <p className="text-muted">{words.late}</p>}
      <p className="font-mono text-caption text-muted">
        {call.server === undefined ? call.name : `${call.server} · ${call.name}`} · {call.call_id}
      </p>
    </div>
  );
}

function Json({ label, copy, value }: { label: string; copy: string; value: unknown }) {
  const text = pretty(value);
  return (
    <div className="overflow-hidden rounded-sm border border-line bg-bg">
      <div className="flex items-center justify-between ps-2.5 text-caption text-muted">
        {label}
        <CopyButton label={copy} text={() => text} />
      </div>
      <pre
        dir="ltr"
        tabIndex={0}
        aria-label={label}
        className="max-h-80 overflow-auto border-t border-line px-2.5 py-2 text-left font-mono text-caption break-words whitespace-pre-wrap focus-visible:-outline-offset-2"
      >
        {text}
      </pre>
    </div>
  );
}
