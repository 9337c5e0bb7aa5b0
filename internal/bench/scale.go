package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// scaleSlots is how many model calls each agentworker makes at once; one more
// is kept for results of tools.
const scaleSlots = 16

// scale measures runs per second with so many agentworkers, on a model that
// takes a second. There are always twice as many people waiting as there are slots.
func (b *bench) scale(ctx context.Context, level int) (_ *Line, err error) {
	line := b.line("scale", level)
	if err := b.stack.setAgents(ctx, level, scaleSlots+1); err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, b.stack.setAgents(context.WithoutCancel(ctx), 1, manySlots))
	}()
	b.profile(ctx, line)
	a := ask{Tokens: 1, Size: tokenSize, DelayMS: 1000}
	people := 2 * level * scaleSlots
	t, u, err := b.run(ctx, b.parley(), fmt.Sprintf("scale%d", level), people, func() load {
		return b.at(load{streams: people, ask: a, ramp: 2 * time.Second})
	}, b.watched)
	if err != nil {
		return nil, err
	}
	line.Figures = figures(t, u)
	perSecond := float64(t.runs) / b.o.For.Seconds()
	line.Extra["runs_per_s"] = round(perSecond, 2)
	if level == 1 {
		b.oneAgent = perSecond
	}
	if b.oneAgent > 0 {
		line.Extra["linear"] = round(perSecond/float64(level)/b.oneAgent, 3)
		line.Extra["uneven"] = round(t.uneven(level), 3)
	}
	return b.done(ctx, line, u)
}

// uneven is the difference between the most and the least loaded of n workers,
// as a share of the mean.
func (t *tally) uneven(n int) float64 {
	list := make([]int, max(n, len(t.steps)))
	sum := 0
	i := 0
	for _, steps := range t.steps {
		list[i] = steps
		sum += steps
		i++
	}
	if sum == 0 {
		return 0
	}
	return float64(slices.Max(list)-slices.Min(list)) * float64(len(list)) / float64(sum)
}
