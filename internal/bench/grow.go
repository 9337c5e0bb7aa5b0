package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// growProbes is how many answers are compared, half of them in new conversations.
const growProbes = 100

// grow writes a conversation of so many messages, one run after the other, and
// compares how fast it answers with how fast a new one does: with the worker's
// memory warm, and right after the worker was started. Beside it, what the last
// tenth of its runs took compared with the first.
func (b *bench) grow(ctx context.Context, level int) (*Line, error) {
	line := b.line("grow", level)
	c := b.newClient(b.parley(), b.user(fmt.Sprintf("grow%d", level), 0), window{0, 24 * time.Hour})
	defer c.close()
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	short := ask{Tokens: 10, Size: tokenSize}
	stop := during(ctx, b.watched())
	var took samples
	for range max(level/2, 1) {
		begun := b.clock.now()
		if err := c.answer(short); err != nil {
			return nil, errors.Join(err, ctx.Err())
		}
		took = append(took, b.clock.now()-begun)
	}
	u := stop()
	tenth := max(len(took)/10, 1)
	first, last := slices.Clone(took[:tenth]), slices.Clone(took[len(took)-tenth:])
	line.Extra["runs_last_to_first"] = ratio(last.spread().P50, first.spread().P50)
	line.Figures = figures(&c.tally, u)

	long, fresh, err := b.probe(ctx, c, short, growProbes/2)
	if err != nil {
		return nil, err
	}
	line.Extra["first_p50_ms"], line.Extra["first_p50_empty_ms"] = long.P50, fresh.P50
	line.Extra["to_empty"] = ratio(long.P50, fresh.P50)
	if b.stack != nil {
		var longCold, freshCold samples
		for range 3 {
			if err := b.stack.setAgents(ctx, 1, manySlots); err != nil {
				return nil, err
			}
			// The new conversation first: it also warms the connection to the model.
			if err := b.ask1(c, short, true, &freshCold); err != nil {
				return nil, err
			}
			if err := b.ask1(c, short, false, &longCold); err != nil {
				return nil, err
			}
		}
		line.Extra["cold_first_p50_ms"], line.Extra["cold_first_p50_empty_ms"] = longCold.spread().P50, freshCold.spread().P50
	}
	line.Lost, line.Doubled = c.lost, c.doubled
	return b.done(ctx, line, u)
}

// probe asks in turn in the long conversation and in a new one.
func (b *bench) probe(ctx context.Context, c *client, a ask, n int) (long, fresh Spread, err error) {
	var inLong, inFresh samples
	for range n {
		for _, isFresh := range []bool{false, true} {
			to := &inLong
			if isFresh {
				to = &inFresh
			}
			// After a new conversation's answer the agent still names it.
			b.clock.until(ctx, b.clock.now()+thinking)
			if err := errors.Join(b.ask1(c, a, isFresh, to), ctx.Err()); err != nil {
				return long, fresh, err
			}
		}
	}
	return inLong.spread(), inFresh.spread(), nil
}

// ask1 asks once, in a new conversation or in c's, and notes the time to the first piece.
func (b *bench) ask1(c *client, a ask, fresh bool, to *samples) error {
	conversation, n := c.conversation, c.n
	if fresh {
		c.conversation, c.n = "", 0
	}
	before := len(c.first)
	err := c.answer(a)
	*to = append(*to, c.first[before:]...)
	if fresh {
		c.conversation, c.n = conversation, n
	}
	return err
}
