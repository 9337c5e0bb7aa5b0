package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// resume cuts every socket at once while answers are being written, lets all of
// them come back at once, and measures how long it takes until each reader has
// the present again. The readers then see their answers to the end.
func (b *bench) resume(ctx context.Context, level int) (*Line, error) {
	line := b.line("resume", level)
	if b.stack != nil {
		open, err := b.openAll(ctx, b.floorDoor(), "floor", level)
		if err != nil {
			return nil, fmt.Errorf("floor: %w", err)
		}
		line.Extra["open_p50_floor_ms"], line.Extra["open_p99_floor_ms"] = open.P50, open.P99
	}
	length := b.o.For + time.Second + time.Duration(level)*4*time.Millisecond
	a := ask{Tokens: int(length.Seconds() * streamRate / 5), Rate: streamRate / 5, Size: tokenSize}
	clients := make([]*client, level)
	for i := range clients {
		clients[i] = b.newClient(b.parley(), b.user("resume", i), window{0, time.Hour})
		defer clients[i].close()
	}
	if err := connectAll(ctx, clients); err != nil {
		return nil, err
	}
	b.profile(ctx, line)
	begun := b.clock.now()
	stop := during(ctx, b.watched())
	cut := begun + time.Second + time.Duration(level)*4*time.Millisecond
	var g sync.WaitGroup
	for i, c := range clients {
		g.Go(func() {
			// The messages are spread, so that the answers are under way when the cut comes.
			if b.clock.until(ctx, begun+time.Duration(i)*4*time.Millisecond) {
				c.fall(ctx, a, cut)
			}
		})
	}
	g.Wait()
	u := stop()
	readers := make([]*reader, level)
	for i, c := range clients {
		readers[i] = c.reader
	}
	t := total(readers)
	line.Figures = figures(t, u)
	back := t.resumed.spread()
	line.Extra["back_p50_ms"], line.Extra["back_p99_ms"], line.Extra["back_max_ms"] = back.P50, back.P99, back.Max
	line.Extra["back"] = float64(back.N)
	return b.done(ctx, line, u)
}

// openAll lets so many persons open a socket at once, and tells how long each
// waited for it.
func (b *bench) openAll(ctx context.Context, d door, name string, n int) (Spread, error) {
	clients, took := make([]*client, n), make(samples, n)
	defer closeAll(clients)
	var g errgroup.Group
	for i := range clients {
		clients[i] = b.newClient(d, b.user(name, i), window{})
		g.Go(func() error {
			begun := b.clock.now()
			err := clients[i].connect(ctx)
			took[i] = b.clock.now() - begun
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return Spread{}, err
	}
	return took.spread(), nil
}

// fall asks, loses its socket at the given time, comes back and reads on.
func (c *client) fall(ctx context.Context, a ask, cut time.Duration) {
	if err := c.say(a); err != nil {
		c.abandon(err)
		return
	}
	err := c.followUntil(cut)
	if err == nil {
		err = c.comeBack(ctx)
	}
	if err == nil && c.status == "" {
		err = c.follow(a.length())
	}
	if err != nil {
		c.abandon(err)
		return
	}
	c.book.close(c.ask.Key)
}

// followUntil reads until a time, or the end of the run.
func (c *client) followUntil(at time.Duration) error {
	// gorilla gives up a socket whose read timed out, so the cut closes it from outside.
	t := time.AfterFunc(at-c.clock.now(), c.link.close)
	defer t.Stop()
	for c.clock.now() < at {
		b, err := c.link.read()
		if err != nil {
			if c.clock.now() >= at {
				return nil
			}
			return err
		}
		if over, err := c.take(b, c.clock.now()); err != nil || over {
			return err
		}
	}
	return nil
}

// comeBack dials again, subscribes after what it has, and notes how long it was
// until the server said that it is live.
func (c *client) comeBack(ctx context.Context) error {
	begun := c.clock.now()
	if err := c.connect(ctx); err != nil {
		return fmt.Errorf("come back: %w", err)
	}
	c.last = 0
	if err := c.link.send(clientFrame{Type: "subscribe", ConversationID: c.conversation, After: c.n}); err != nil {
		return err
	}
	if err := c.link.ws.SetReadDeadline(time.Now().Add(answerPatience)); err != nil {
		return err
	}
	for {
		b, err := c.link.read()
		if err != nil {
			return err
		}
		now := c.clock.now()
		if _, err := c.take(b, now); err != nil {
			return err
		}
		if f, err := decodeFrame(b); err == nil && f.Type == "live" {
			c.resumed = append(c.resumed, now-begun)
			return nil
		}
	}
}
