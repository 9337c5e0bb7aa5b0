package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parleychat/parley/events"
)

type chatCmd struct {
	Client       `embed:""`
	Reconnect    time.Duration `help:"How long to try to get a lost connection back before giving up." default:"2m" group:"Client"`
	Conversation string        `help:"Go on with, or follow only, this conversation; its history is shown first." group:"Client"`
	Message      []string      `arg:"" optional:"" help:"Say this and exit; without it, read lines from the terminal."`
}

// A talk is one conversation in the terminal.
type talk struct {
	e            *env
	client       *Client
	caller       atomic.Pointer[caller] // another one after each lost connection
	met          bool                   // Parley has answered before
	reconnect    time.Duration
	interrupt    <-chan os.Signal
	conversation events.ConversationID
}

// errLeft is the end of a chat that was interrupted twice.
var errLeft = errors.New("left before the answer ended; what was sent goes on")

// Run chats: one message and exit, or line by line. Ctrl-C stops the answer
// that runs, a second one leaves without waiting for its end; at the prompt it
// ends the program.
func (c *chatCmd) Run(ctx context.Context, e *env) error {
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt)
	defer signal.Stop(interrupt)
	return c.chat(ctx, e, os.Stdin, interrupt)
}

func (c *chatCmd) chat(ctx context.Context, e *env, stdin io.Reader, interrupt <-chan os.Signal) error {
	t, err := c.begin(ctx, e, interrupt)
	if err != nil {
		return err
	}
	if len(c.Message) > 0 {
		return t.say(ctx, strings.Join(c.Message, " "))
	}
	lines := bufio.NewScanner(stdin)
	lines.Buffer(make([]byte, 4<<10), 256<<10)
	for {
		fmt.Fprint(e.stdout, "> ")
		line, ok := read(ctx, lines, interrupt)
		if !ok {
			fmt.Fprintln(e.stdout)
			return lines.Err()
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		if err := t.say(ctx, line); err != nil {
			if _, ok := errors.AsType[*statusError](err); !ok {
				return err
			}
			fmt.Fprintln(e.stderr, "!", err)
		}
	}
}

// begin finds the server and shows the history; Ctrl-C gives that up.
func (c *chatCmd) begin(ctx context.Context, e *env, interrupt <-chan os.Signal) (*talk, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel(nil)
	watching.Go(func() {
		select {
		case <-interrupt:
			cancel(errLeft)
		case <-ctx.Done():
		}
	})
	a, err := c.caller(ctx, e)
	if err != nil {
		return nil, left(ctx, err)
	}
	t := &talk{e: e, client: &c.Client, met: a.issued, reconnect: c.Reconnect, interrupt: interrupt, conversation: events.ConversationID(c.Conversation)}
	t.caller.Store(a)
	if c.Conversation != "" {
		err = left(ctx, t.history(ctx))
		t.met = true
	}
	return t, err
}

// read returns the next line, or false at the end, at an interrupt or when ctx ends.
func read(ctx context.Context, s *bufio.Scanner, interrupt <-chan os.Signal) (string, bool) {
	got := make(chan bool, 1)
	go func() { got <- s.Scan() }() // ends with the process at the latest
	select {
	case ok := <-got:
		return s.Text(), ok
	case <-interrupt:
	case <-ctx.Done():
	}
	return "", false
}

// history prints the conversation so far.
func (t *talk) history(ctx context.Context) error {
	var c events.Conversation
	a := t.caller.Load()
	path := fmt.Sprintf("/api/%s/conversations/%s/messages", a.user, t.conversation)
	if err := a.do(ctx, http.MethodGet, path, nil, &c); err != nil {
		return err
	}
	for _, r := range c.Runs {
		fmt.Fprintf(t.e.stdout, "> %s\n", r.Message.Text)
		for _, k := range r.Calls {
			printCall(t.e.stdout, k)
		}
		fmt.Fprintf(t.e.stdout, "%s\n\n", r.Answer())
	}
	return nil
}
