package bench

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// slowShare is the part of the readers that stall.
const slowShare = 10

// slow measures streams beside a tenth as many other readers of long answers:
// once these read, once they read nothing at all. When it is over the stalled
// read on, and nothing of theirs may be missing.
func (b *bench) slow(ctx context.Context, level int) (*Line, error) {
	line := b.line("slow", level)
	reading, _, _, err := b.besideLong(ctx, level, "reading", (*client).readLong)
	if err != nil {
		return nil, err
	}
	b.profile(ctx, line)
	t, long, u, err := b.besideLong(ctx, level, "stalled", (*client).stall)
	if err != nil {
		return nil, err
	}
	quiet := reading.delivery.spread()
	for _, c := range long {
		t.lost, t.doubled = t.lost+c.lost, t.doubled+c.doubled
		if t.err == nil {
			t.err = c.err
		}
		line.Extra["stalled_answers"] += float64(c.ends)
		line.Extra["stalled_closed"] += float64(c.falls)
	}
	line.Figures = figures(t, u)
	line.Extra["stalled"] = float64(len(long))
	line.Extra["reading_delivery_p50_ms"], line.Extra["reading_delivery_p99_ms"] = quiet.P50, quiet.P99
	return b.done(ctx, line, u)
}

// besideLong runs streams beside readers of long answers, who do as act says.
func (b *bench) besideLong(ctx context.Context, level int, name string, act func(*client, context.Context)) (*tally, []*client, usage, error) {
	long := make([]*client, max(level/slowShare, 1))
	defer closeAll(long)
	for i := range long {
		long[i] = b.newClient(b.parley(), b.user(fmt.Sprintf("%s%d", name, level), i), window{})
		var err error
		if long[i].link, err = long[i].door.dial(ctx, long[i].user, smallBuffer); err != nil {
			return nil, nil, usage{}, err
		}
		// The first answer makes the conversation.
		if err := long[i].answer(ask{Tokens: 5, Size: tokenSize}); err != nil {
			return nil, nil, usage{}, err
		}
	}
	streams := fmt.Sprintf("beside%s%d", name, level)
	t, u, err := b.run(ctx, b.parley(), streams, level, func() load { return b.newLoad(level) }, b.watched, func(l load, _ []*client) {
		each(long, func(c *client) {
			c.window = l.window
			if c.clock.until(ctx, l.window.from) {
				act(c, ctx)
			}
		})
	})
	return t, long, u, err
}

// each runs f for every client at once and waits.
func each(list []*client, f func(*client)) {
	var g sync.WaitGroup
	for _, c := range list {
		g.Go(func() { f(c) })
	}
	g.Wait()
}

// smallBuffer makes the kernel hold little for a reader that does not read.
const smallBuffer = 4096

// Long answers are 200 KiB each, and one begins every second.
var longAnswer = ask{Tokens: 100, Rate: 200, Size: 2048}

const longEvery = time.Second

// readLong asks for long answers within the window and reads each.
func (c *client) readLong(ctx context.Context) {
	for at := c.window.from; at < c.window.to && c.clock.until(ctx, at); at += longEvery {
		if c.answer(longAnswer) != nil {
			return
		}
		c.ends++
	}
}

// stall asks for as many without reading anything. Then it sends all of them
// again, as a client does that has seen no answer, and reads every one to its end.
func (c *client) stall(ctx context.Context) {
	var sent []clientFrame
	for at := c.window.from; at < c.window.to && c.clock.until(ctx, at); at += longEvery {
		a := longAnswer
		c.asks++
		a.Key = fmt.Sprintf("%s-%d", c.user, c.asks)
		f := clientFrame{Type: "message", ID: newMessageID(), ConversationID: c.conversation, Message: a.text()}
		sent = append(sent, f)
		_ = c.link.send(f) // the socket may have been closed as hopeless: it is sent again
	}
	if !c.clock.until(ctx, c.window.to) {
		return
	}
	c.asked, c.id = false, "" // from here it follows whatever the log says
	if err := c.catchUp(ctx, sent); err != nil {
		c.abandon(fmt.Errorf("a stalled reader read %d of %d answers: %w", c.ends, len(sent), err))
	}
}

func (c *client) catchUp(ctx context.Context, sent []clientFrame) error {
	err := c.readEnds(len(sent))
	for try := 0; err != nil && try < 10 && ctx.Err() == nil; try++ {
		c.falls++
		c.close()
		if err = c.connect(ctx); err != nil {
			continue
		}
		if err = c.link.send(clientFrame{Type: "subscribe", ConversationID: c.conversation, After: c.n}); err != nil {
			continue
		}
		for _, f := range sent {
			if err = c.link.send(f); err != nil {
				break
			}
		}
		if err == nil {
			err = c.readEnds(len(sent))
		}
	}
	return err
}

// readEnds reads until so many answers have ended.
func (c *client) readEnds(n int) error {
	if err := c.link.ws.SetReadDeadline(time.Now().Add(answerPatience)); err != nil {
		return err
	}
	for c.ends < n {
		b, err := c.link.read()
		if err != nil {
			return err
		}
		over, err := c.take(b, c.clock.now())
		if err != nil {
			return err
		}
		if over {
			c.ends++
		}
	}
	return nil
}
