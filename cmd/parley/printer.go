package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/parleychat/parley/events"
)

// A printer turns the frames of an answer into text on the terminal, over as many
// connections as it takes: every commit once, and of the text what is not there yet.
type printer struct {
	out          io.Writer
	run          chan events.RunID // told once: the run that answers
	conversation events.ConversationID
	id           events.RunID // known when the message is stored
	n            uint64       // of the last commit
	draft        events.Draft
	shown        string // of the step's text
	calls        map[events.CallID]*events.Call
	over         bool
}

// A place is how far an answer has come.
type place struct {
	id    events.RunID
	n     uint64
	bytes int
}

func (p *printer) place() place { return place{p.id, p.n, len(p.draft.Text)} }

// meanwhile says what becomes of the message while the connection is lost.
func (p *printer) meanwhile() string {
	if p.id == "" {
		return "sending your message again, with the same id"
	}
	return "your message is stored and its answer goes on; reconnecting"
}

// unfinished adds to err what is known of a message whose answer was given up.
func (p *printer) unfinished(err error) error {
	switch {
	case p.id != "":
		return fmt.Errorf("%w; your message is stored and its answer goes on, see it with parley chat --conversation %s", err, p.conversation)
	case passing(err):
		return fmt.Errorf("%w; nobody said whether your message was stored", err)
	}
	return err
}

func (p *printer) frame(f frame) (bool, error) {
	switch f.Type {
	case "accepted":
		p.conversation = f.ConversationID
		if p.id == "" {
			p.id = f.RunID
			p.run <- f.RunID
		}
	case "delta":
		d, err := events.DecodeDelta(f.raw)
		if err != nil {
			return false, err
		}
		if p.draft.Add(d) == events.Appended {
			p.show(string(p.draft.Text), false)
		}
	case "snapshot":
		s, err := events.DecodeSnapshot(f.raw)
		if err != nil {
			return false, err
		}
		if p.draft.Set(s) {
			p.show(string(p.draft.Text), false)
		}
	case "commit":
		c, err := events.DecodeCommit(f.Commit)
		if err != nil {
			return false, err
		}
		if c.N <= p.n {
			return true, nil // from the connection before
		}
		p.n = c.N
		for _, e := range c.Events {
			p.event(e)
		}
		return !p.over, nil
	case "error":
		return false, &statusError{code: f.Code, message: f.Message}
	}
	return true, nil
}

// show brings a step's text to the terminal, where nothing can be taken back. An
// attempt that says again what is there goes on silently; one that says something
// else, or whose whole text is shorter, begins again.
func (p *printer) show(text string, whole bool) {
	rest, goesOn := strings.CutPrefix(text, p.shown)
	switch {
	case goesOn:
	case !whole && strings.HasPrefix(p.shown, text):
		return
	default:
		fmt.Fprintln(p.out, "\n  (interrupted; beginning again)")
		rest = text
	}
	fmt.Fprint(p.out, rest)
	p.shown = text
}

func (p *printer) event(e events.Event) {
	switch e := e.(type) {
	case events.StepStarted:
		if e.Attempt == 1 {
			p.draft, p.shown = events.Draft{}, ""
		}
	case events.StepCompleted:
		p.show(e.Text, true)
		if e.Text != "" && len(e.ToolCalls) > 0 {
			fmt.Fprintln(p.out)
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
			printCall(p.out, k)
		}
	case events.RunCompleted:
		p.over = p.over || e.RunID == p.id
	case events.RunFailed:
		if e.RunID == p.id {
			p.show(e.Receipt.Text, false)
			fmt.Fprintf(p.out, "\n! %s (%s)", e.Message, e.Code)
			p.over = true
		}
	case events.RunCancelled:
		if e.RunID == p.id {
			p.show(e.Receipt.Text, false)
			fmt.Fprintf(p.out, "\n  (stopped; %d calls ran, %d did not)", len(e.Receipt.Ran), len(e.Receipt.NotRun))
			p.over = true
		}
	}
}

// printCall prints one answered tool call.
func printCall(w io.Writer, k *events.Call) {
	mark, text := "✓", string(k.Result)
	if k.Error != nil {
		mark, text = "✗", k.Error.Message
	}
	if r := []rune(text); len(r) > 160 {
		text = string(r[:160]) + "…"
	}
	fmt.Fprintf(w, "  %s %s %s (%d ms) %s\n", mark, k.Name, k.Arguments, k.DurationMS, text)
}
