package bench

import (
	"context"
	"fmt"
	"time"
)

// A client is one person in front of one page: it asks, reads the answer to its
// end, and asks again.
type client struct {
	*reader
	door door
	user string
	link *link
	asks int
	// thinks is the pause before the next message.
	thinks time.Duration
	// Of a client that reads what others ask, or too late.
	ends, falls int
}

// answerPatience is how long an answer may take beyond its own length.
const answerPatience = 60 * time.Second

func (b *bench) newClient(d door, user string, w window) *client {
	return &client{reader: &reader{clock: b.clock, book: b.book, window: w}, door: d, user: user}
}

func (c *client) connect(ctx context.Context) (err error) {
	c.link, err = c.door.dial(ctx, c.user, 0)
	return err
}

func (c *client) close() {
	if c.link != nil {
		c.link.close()
	}
}

// say sends a message without waiting for anything.
func (c *client) say(a ask) error {
	c.asks++
	a.Key = fmt.Sprintf("%s-%d", c.user, c.asks)
	id := newMessageID()
	c.expect(a, id, c.clock.now())
	f := clientFrame{Type: "message", ID: id, ConversationID: c.conversation, Message: a.text()}
	return c.link.send(f)
}

// follow reads until the run has ended.
func (c *client) follow(length time.Duration) error {
	if err := c.link.ws.SetReadDeadline(time.Now().Add(length + answerPatience)); err != nil {
		return err
	}
	for {
		b, err := c.link.read()
		if err != nil {
			return err
		}
		if over, err := c.take(b, c.clock.now()); err != nil || over {
			return err
		}
	}
}

// answer asks once and reads the answer.
func (c *client) answer(a ask) error {
	err := c.say(a)
	if err == nil {
		err = c.follow(a.length())
	}
	if err != nil {
		c.abandon(err)
		return err
	}
	c.book.close(c.ask.Key)
	return nil
}

// length is how long the model takes to write the answer.
func (a ask) length() time.Duration {
	d := time.Duration(a.DelayMS) * time.Millisecond
	if a.Rate > 0 {
		d += time.Duration(float64(a.Tokens) / a.Rate * float64(time.Second))
	}
	return d
}

// thinking is what a person takes at least between an answer and the next message.
const thinking = 100 * time.Millisecond

// chapter is how many answers a conversation gets before the next begins: how
// long histories cost is the mode grow's question.
const chapter = 20

// turnPage leaves the conversation; the next message begins another.
func (c *client) turnPage() error {
	err := c.link.send(clientFrame{Type: "unsubscribe", ConversationID: c.conversation})
	c.conversation, c.n = "", 0
	return err
}

// loop asks from a time on, again and again, until the window is over. The
// answer that is under way then is read to its end.
func (c *client) loop(ctx context.Context, a ask, from time.Duration) {
	if !c.clock.until(ctx, from) {
		return
	}
	for ctx.Err() == nil && c.clock.now() < c.window.to {
		if c.asks > 0 && c.asks%chapter == 0 {
			if err := c.turnPage(); err != nil {
				c.fail(err)
				return
			}
		}
		if c.answer(a) != nil || !c.clock.until(ctx, c.clock.now()+c.thinks) {
			return
		}
	}
}
