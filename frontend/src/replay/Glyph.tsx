import type { Kind } from '../core/recording';

/** The colours of the kinds; their shapes differ too. */
export const colours: Readonly<Record<Kind, string>> = {
  user: 'text-text',
  assistant: 'text-muted',
  tool: 'text-accent',
  error: 'text-danger',
  elsewhere: 'text-muted',
  other: 'text-edge',
};

/** The shape that stands for a kind, around the origin of an SVG. */
export function Shape({ kind }: { kind: Kind }) {
  switch (kind) {
    case 'user':
      return <circle r="4" fill="currentColor" />;
    case 'assistant':
      return <rect x="-2" y="-6" width="4" height="12" rx="1" fill="currentColor" />;
    case 'tool':
      return <rect x="-4" y="-4" width="8" height="8" rx="1" fill="currentColor" transform="rotate(45)" />;
    case 'error':
      return <path d="M0 -6.5 6 5.5H-6Z" fill="currentColor" />;
    case 'elsewhere':
      return <circle r="3.5" fill="none" stroke="currentColor" strokeWidth="1.5" />;
    case 'other':
      return <circle r="1.75" fill="currentColor" />;
  }
}

/** The same beside words, which say it too. */
export function Glyph({ kind }: { kind: Kind }) {
  return (
    <svg width="16" height="16" viewBox="-8 -8 16 16" aria-hidden="true" className={`shrink-0 ${colours[kind]}`}>
      <Shape kind={kind} />
    </svg>
  );
}
