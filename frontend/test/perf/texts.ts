/** A piece of an answer with something of everything that markdown has. */
const passage = `## What the log holds

A conversation is a **log**, and each event in it has *one* place. Words arrive one after the other, and
none of them arrives twice; see \`events/commit.go\` or [the drawing](https://example.com/architecture).

1. A message is stored before it is answered.
2. A tool call has one result:
   - the one that came first,
   - whatever else arrives later.

| event | who writes it | how often |
|---|---|---|
| run.started | agentworker | once |
| tool.returned | toolworker | once per call |

\`\`\`go
func (l *Log) Append(ctx context.Context, c Commit) error {
	if c.N != l.n+1 {
		return ErrConflict
	}
	return l.write(ctx, c)
}
\`\`\`

> When a process dies in the middle, another one takes over; the reader sees a pause, and then the text goes on.

`;

/** Markdown of exactly n pieces, cut where a tokenizer might. */
export function tokens(n: number): string[] {
  const pieces = passage.match(/\s*\S{1,8}/g) ?? [];
  return Array.from({ length: n }, (_, i) => pieces[i % pieces.length] ?? '').map((piece, i) =>
    i > 0 && i % pieces.length === 0 ? `\n\n${piece}` : piece,
  );
}
