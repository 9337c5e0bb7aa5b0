package bench

import (
	"context"
	"fmt"
	"time"
)

// tool measures whole runs with one tool call, answered by a model that takes
// no time: every commit, the call's transaction, and the way there and back.
func (b *bench) tool(ctx context.Context, level int) (*Line, error) {
	line := b.line("tool", level)
	b.profile(ctx, line)
	a := ask{Tokens: 3, Size: tokenSize, Tool: true}
	t, u, err := b.run(ctx, b.parley(), fmt.Sprintf("tool%d", level), level, func() load {
		return b.at(load{streams: level, ask: a, ramp: 500 * time.Millisecond})
	}, b.watched)
	if err != nil {
		return nil, err
	}
	line.Figures = figures(t, u)
	return b.done(ctx, line, u)
}
