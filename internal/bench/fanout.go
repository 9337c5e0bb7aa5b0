package bench

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// fanout has one person watch one conversation with so many sockets while
// answers are written into it.
func (b *bench) fanout(ctx context.Context, level int) (*Line, error) {
	line := b.line("fanout", level)
	a := ask{Tokens: 2 * streamRate, Rate: streamRate, Size: tokenSize}
	// The floor has as many sockets and frames, of answers of their own.
	err := b.atFloor(ctx, line, level, func() load { return b.at(load{streams: level, ask: a, ramp: settle}) })
	if err != nil {
		return nil, err
	}
	user := b.user(fmt.Sprintf("fanout%d", level), 0)
	speaker := b.newClient(b.parley(), user, window{})
	defer speaker.close()
	if err := speaker.connect(ctx); err != nil {
		return nil, err
	}
	// The first answer makes the conversation.
	if err := speaker.answer(ask{Tokens: 5, Size: tokenSize}); err != nil {
		return nil, err
	}
	l := b.at(load{ask: a, ramp: settle})
	viewers := make([]*client, level)
	for i := range viewers {
		viewers[i] = b.newClient(b.parley(), user, l.window)
		viewers[i].conversation, viewers[i].n = speaker.conversation, speaker.n
		defer viewers[i].close()
	}
	if err := connectAll(ctx, viewers); err != nil {
		return nil, err
	}
	b.profile(ctx, line)
	stop := during(ctx, b.watched())
	var watching sync.WaitGroup
	ended := make(chan struct{})
	for _, v := range viewers {
		watching.Go(func() { v.view(ended) })
	}
	speaker.window = l.window
	asked := 0
	for ctx.Err() == nil && b.clock.now() < l.window.to {
		err := speaker.say(l.ask)
		if err == nil {
			err = speaker.follow(l.ask.length())
		}
		if err != nil {
			speaker.abandon(err)
			break
		}
		asked++
	}
	u := stop()
	// What the speaker has seen the others have a second later at most.
	b.clock.until(ctx, b.clock.now()+time.Second)
	close(ended)
	closeAll(viewers)
	watching.Wait()
	readers := make([]*reader, level)
	for i, v := range viewers {
		readers[i] = v.reader
		if v.ends != asked {
			v.abandon(fmt.Errorf("a viewer saw %d of %d answers end", v.ends, asked))
		}
	}
	t := total(readers)
	t.accepted, t.first = speaker.accepted, speaker.first
	line.Figures = figures(t, u)
	line.Extra["frames_per_s"] = round(float64(t.delivery.spread().N)/b.o.For.Seconds(), 0)
	return b.done(ctx, line, u)
}

// view follows a conversation until its socket is closed by the level's end.
func (c *client) view(ended <-chan struct{}) {
	err := c.link.send(clientFrame{Type: "subscribe", ConversationID: c.conversation, After: c.n})
	for err == nil {
		var b []byte
		if b, err = c.link.read(); err == nil {
			var over bool
			if over, err = c.take(b, c.clock.now()); over {
				c.ends++
			}
		}
	}
	select {
	case <-ended:
	default:
		c.abandon(err)
	}
}
