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
	"time"

	"github.com/google/uuid"

	"github.com/parleychat/parley/events"
)

type chatCmd struct {
	Client       `embed:""`
	Conversation string   `help:"Go on with, or follow only, this conversation; its history is shown first." group:"Client"`
	Message      []string `arg:"" optional:"" help:"Say this and exit; without it, read lines from the terminal."`
}

// A talk is one conversation in the terminal.
type talk struct {
	e            *env
	caller       *caller
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
	t := &talk{e: e, caller: a, interrupt: interrupt, conversation: events.ConversationID(c.Conversation)}
	if c.Conversation != "" {
		err = left(ctx, t.history(ctx))
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
	path := fmt.Sprintf("/api/%s/conversations/%s/messages", t.caller.user, t.conversation)
	if err := t.caller.do(ctx, http.MethodGet, path, nil, &c); err != nil {
		return err
	}
	for _, r := range c.Runs {
		fmt.Fprintf(t.e.stdout, "> %s\n", r.Message.Text)
		for _, k := range r.Calls {
			t.call(k)
		}
		fmt.Fprintf(t.e.stdout, "%s\n\n", r.Answer())
	}
	return nil
}

// say sends a message and prints its answer as it comes.
func (t *talk) say(ctx context.Context, text string) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	body := map[string]string{"id": id.String(), "message": text, "timezone": time.Local.String()}
	if _, err := time.LoadLocation(body["timezone"]); err != nil || body["timezone"] == "Local" {
		delete(body, "timezone")
	}
	if t.conversation != "" {
		body["conversation_id"] = string(t.conversation)
	}
	run := make(chan events.RunID, 1)
	work, cancel := context.WithCancelCause(ctx)
	var stopping sync.WaitGroup
	defer stopping.Wait()
	defer cancel(nil)
	stopping.Go(func() { t.stopOn(work, cancel, run) })
	res, err := t.caller.request(work, http.MethodPost, "/api/"+t.caller.user+"/chat", body)
	if err != nil {
		return left(work, err)
	}
	defer func() { _ = res.Body.Close() }() // the stream has been read
	p := &printer{t: t, run: run}
	err = left(work, frames(res.Body, p.frame))
	fmt.Fprintln(t.e.stdout)
	if err == nil && !p.over {
		return errors.New("the connection ended before the answer did; it goes on, see it with --conversation " + string(t.conversation))
	}
	return err
}

// left turns the error of a chat that the person has left into that.
func left(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errLeft) {
		return errLeft
	}
	return err
}

// stopOn cancels the run at the first interrupt, and gives up waiting at the
// second: there may be nobody to answer.
func (t *talk) stopOn(ctx context.Context, leave context.CancelCauseFunc, run <-chan events.RunID) {
	var asking sync.WaitGroup
	defer asking.Wait()
	var known <-chan events.RunID // nil until the person wants the run to stop
	for interrupts := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-t.interrupt:
			if interrupts++; interrupts == 2 {
				leave(errLeft)
				return
			}
			known = run
		case id := <-known:
			asking.Go(func() {
				var out struct{}
				err := t.caller.do(ctx, http.MethodPost, fmt.Sprintf("/api/%s/runs/%s/cancel", t.caller.user, id), struct{}{}, &out)
				if err != nil && ctx.Err() == nil {
					fmt.Fprintln(t.e.stderr, "!", err)
				}
			})
		}
	}
}

// call prints one answered tool call.
func (t *talk) call(k *events.Call) {
	mark, text := "✓", string(k.Result)
	if k.Error != nil {
		mark, text = "✗", k.Error.Message
	}
	if r := []rune(text); len(r) > 160 {
		text = string(r[:160]) + "…"
	}
	fmt.Fprintf(t.e.stdout, "  %s %s %s (%d ms) %s\n", mark, k.Name, k.Arguments, k.DurationMS, text)
}

// A printer turns frames into text on the terminal.
type printer struct {
	t     *talk
	run   chan<- events.RunID
	id    events.RunID
	draft events.Draft
	shown int
	calls map[events.CallID]*events.Call
	over  bool
}

func (p *printer) frame(f frame) (bool, error) {
	switch f.Type {
	case "delta":
		d, err := events.DecodeDelta(f.raw)
		if err != nil {
			return false, err
		}
		before := p.draft.Attempt
		p.draft.Add(d)
		if p.draft.Attempt > before && before > 0 && p.shown > 0 {
			fmt.Fprintln(p.t.e.stdout, "\n  (interrupted; beginning again)")
			p.shown = 0
		}
		p.show(string(p.draft.Text))
	case "snapshot":
		s, err := events.DecodeSnapshot(f.raw)
		if err != nil {
			return false, err
		}
		p.draft.Set(s)
		p.show(string(p.draft.Text))
	case "commit":
		c, err := events.DecodeCommit(f.Commit)
		if err != nil {
			return false, err
		}
		p.t.conversation = c.ConversationID
		for _, e := range c.Events {
			p.event(e)
		}
		return !p.over, nil
	case "error":
		return false, &statusError{code: f.Code, message: f.Message}
	}
	return true, nil
}

// show prints what of the text is not on the terminal yet.
func (p *printer) show(text string) {
	if len(text) > p.shown {
		fmt.Fprint(p.t.e.stdout, text[p.shown:])
		p.shown = len(text)
	}
}

func (p *printer) event(e events.Event) {
	out := p.t.e.stdout
	switch e := e.(type) {
	case events.MessageAccepted:
		if p.id == "" {
			p.id = e.RunID
			p.run <- e.RunID
		}
	case events.StepStarted:
		if e.Attempt == 1 {
			p.draft, p.shown = events.Draft{}, 0
		}
	case events.StepCompleted:
		p.show(e.Text)
		if e.Text != "" && len(e.ToolCalls) > 0 {
			fmt.Fprintln(out)
		}
		for _, t := range e.ToolCalls {
			if p.calls == nil {
				p.calls = map[events.CallID]*events.Call{}
			}
			p.calls[t.CallID] = &events.Call{CallID: t.CallID, Name: t.Name, Arguments: t.Arguments}
		}
	case events.ToolReturned:
		if k := p.calls[e.CallID]; k != nil {
			k.Result, k.Error, k.DurationMS = e.Result, e.Error, e.DurationMS
			p.t.call(k)
		}
	case events.RunCompleted:
		p.over = p.over || e.RunID == p.id
	case events.RunFailed:
		if e.RunID == p.id {
			fmt.Fprintf(out, "\n! %s (%s)", e.Message, e.Code)
			p.over = true
		}
	case events.RunCancelled:
		if e.RunID == p.id {
			fmt.Fprintf(out, "\n  (stopped; %d calls ran, %d did not)", len(e.Receipt.Ran), len(e.Receipt.NotRun))
			p.over = true
		}
	}
}
