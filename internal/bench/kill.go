package bench

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// killAgents is how many agentworkers there are when one of them is killed.
const killAgents = 2

// kill ends an agentworker with SIGKILL while answers are being written, and
// measures how long its readers wait for their next text.
func (b *bench) kill(ctx context.Context, level int) (_ *Line, err error) {
	line := b.line("kill", level)
	if err := b.stack.setAgents(ctx, killAgents, manySlots); err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, b.stack.setAgents(context.WithoutCancel(ctx), 1, manySlots))
	}()
	a := ask{Tokens: int(max(b.o.For, 2*time.Second).Seconds() * streamRate), Rate: streamRate, Size: tokenSize}
	clients := make([]*client, level)
	for i := range clients {
		clients[i] = b.newClient(b.parley(), b.user("kill", i), window{0, time.Hour})
		clients[i].worker = make(chan string, 1)
		defer clients[i].close()
	}
	if err := connectAll(ctx, clients); err != nil {
		return nil, err
	}
	stop := during(ctx, b.watched())
	var g sync.WaitGroup
	for _, c := range clients {
		g.Go(func() {
			err := c.say(a)
			if err == nil {
				err = c.follow(a.length() + b.o.AckWait)
			}
			if err != nil {
				c.abandon(err)
			}
		})
	}
	victim, err := b.stack.agent(ctx, clients[0].worker)
	if err != nil || !b.clock.until(ctx, b.clock.now()+time.Second) {
		closeAll(clients)
		g.Wait()
		return nil, errors.Join(err, ctx.Err())
	}
	killed := b.clock.now()
	victim.kill()
	g.Wait()
	u := stop()
	var next samples
	readers := make([]*reader, level)
	for i, c := range clients {
		readers[i] = c.reader
		for _, at := range c.takeovers {
			next = append(next, at-killed)
		}
	}
	t := total(readers)
	if len(next) == 0 {
		t.err = errors.New("the killed agentworker was writing nothing")
	}
	line.Figures = figures(t, u)
	slices.Sort(next)
	line.Extra["taken_over"] = float64(len(next))
	line.Extra["next_text_s"], line.Extra["next_text_p50_s"] = round(next.at(1).Seconds(), 2), round(next.at(0.5).Seconds(), 2)
	line.Extra["ack_wait_s"] = b.o.AckWait.Seconds()
	return b.done(ctx, line, u)
}
