package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// streamRate is the pace of the model in tokens per second.
const streamRate = 50

// A load is streams that answer at once at one pace.
type load struct {
	streams int
	ask     ask
	from    time.Duration // the first message; the others follow within ramp
	ramp    time.Duration
	window  window
	thinks  time.Duration // between an answer and the next message
}

// settle is between the last start and the window.
const settle = 500 * time.Millisecond

// newLoad plans a level. The more streams, the longer their answers, so that
// about twenty messages a second begin whatever the level.
func (b *bench) newLoad(streams int) load {
	length := time.Duration(float64(streams) / 20 * float64(time.Second))
	length = min(max(length, 400*time.Millisecond), 10*time.Second)
	length = max(min(length, b.o.For), 400*time.Millisecond)
	l := load{
		streams: streams, ask: ask{Tokens: int(length.Seconds() * streamRate), Rate: streamRate, Size: tokenSize},
		ramp: length, thinks: thinking,
	}
	return b.at(l)
}

// at lets a load begin now.
func (b *bench) at(l load) load {
	l.from = b.clock.now() + 50*time.Millisecond
	l.window.from = l.from + l.ramp + settle
	l.window.to = l.window.from + b.o.For
	return l
}

// dials bounds the sockets that are being opened at once.
const dials = 32

// connectAll opens the sockets of many clients.
func connectAll(ctx context.Context, list []*client) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(dials)
	for _, c := range list {
		g.Go(func() error { return c.connect(ctx) })
	}
	return g.Wait()
}

// run carries a load out at a door and measures processes within its window.
// beside is called with the clients when they have begun, and waited for.
func (b *bench) run(ctx context.Context, d door, name string, streams int, plan func() load, list func() []watched, beside ...func(load, []*client)) (*tally, usage, error) {
	clients := make([]*client, streams)
	for i := range clients {
		clients[i] = b.newClient(d, b.user(name, i), window{})
		defer clients[i].close()
	}
	if err := connectAll(ctx, clients); err != nil {
		return nil, usage{}, err
	}
	l := plan()
	var g sync.WaitGroup
	for i, c := range clients {
		c.window, c.thinks = l.window, l.thinks
		begin := l.from + l.ramp*time.Duration(i)/time.Duration(max(streams, 1))
		g.Go(func() { c.loop(ctx, l.ask, begin) })
	}
	for _, f := range beside {
		g.Go(func() { f(l, clients) })
	}
	var u usage
	g.Go(func() {
		if !b.clock.until(ctx, l.window.from) {
			return
		}
		stop := during(ctx, list())
		b.clock.until(ctx, l.window.to)
		u = stop()
	})
	g.Wait()
	readers := make([]*reader, streams)
	for i, c := range clients {
		readers[i] = c.reader
	}
	return total(readers), u, ctx.Err()
}

// user names a person whom no other level uses.
func (b *bench) user(level string, i int) string { return fmt.Sprintf("%s-%s-%d", b.name, level, i) }

// stream measures many answers at once, first at the floor and then at Parley.
func (b *bench) stream(ctx context.Context, level int) (*Line, error) {
	line := b.line("stream", level)
	plan := func() load { return b.newLoad(level) }
	if err := b.atFloor(ctx, line, level, plan); err != nil {
		return nil, err
	}
	b.profile(ctx, line)
	t, u, err := b.run(ctx, b.parley(), fmt.Sprintf("stream%d", level), level, plan, b.watched)
	if err != nil {
		return nil, err
	}
	line.Figures = figures(t, u)
	return b.done(ctx, line, u)
}

// atFloor measures the same load at the floor, if there is one.
func (b *bench) atFloor(ctx context.Context, line *Line, streams int, plan func() load) error {
	if b.stack == nil {
		return nil
	}
	floor := func() []watched { return []watched{{"floor", b.stack.floor.pid, false}} }
	t, u, err := b.run(ctx, b.floorDoor(), "floor", streams, plan, floor)
	if err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	f := figures(t, u)
	line.Floor = &f
	return nil
}
