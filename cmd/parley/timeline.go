package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/parleychat/parley/events"
)

// printCommit writes a commit, an event a line.
func printCommit(w io.Writer, c *events.Commit, when string) error {
	for i, e := range c.Events {
		text, err := describe(e)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s  %6s  %-22s %s\n", when, fmt.Sprintf("%d.%d", c.N, i), e.EventType(), text); err != nil {
			return err
		}
	}
	return nil
}

// shownRunes bounds what is shown of one text.
const shownRunes = 200

// quote shows the beginning of a text on one line, with nothing in it that a
// terminal would obey.
func quote(s string) string {
	if r := []rune(s); len(r) > shownRunes {
		s = string(r[:shownRunes]) + "…"
	}
	return strconv.Quote(s)
}

// describe says in a few words what an event tells.
func describe(e events.Event) (string, error) {
	switch e := e.(type) {
	case events.MessageAccepted:
		return quote(e.Text), nil
	case events.RunStarted:
		return "model " + quote(e.Model), nil
	case events.StepStarted:
		return fmt.Sprintf("step %d, attempt %d", e.Step, e.Attempt), nil
	case events.StepCompleted:
		var calls []string
		for _, t := range e.ToolCalls {
			calls = append(calls, bare(t.Name))
		}
		if len(calls) > 0 {
			return strings.TrimPrefix(quote(e.Text)+", calls "+strings.Join(calls, ", "), `"", `), nil
		}
		return quote(e.Text), nil
	case events.ToolCalled:
		return bare(e.Name) + " " + bare(string(e.Arguments)), nil
	case events.ToolReturned:
		if e.Error != nil {
			return bare(e.Error.Code) + ": " + bare(e.Error.Message), nil
		}
		return bare(string(e.Result)), nil
	case events.RunCancelRequested:
		return fmt.Sprintf("by %s, why: %s", bare(string(e.By)), bare(string(e.Why))), nil
	case events.RunCompleted:
		return usage(e.Usage), nil
	case events.RunFailed:
		return bare(e.Code) + ": " + bare(e.Message), nil
	case events.RunCancelled:
		return fmt.Sprintf("%d calls ran, %d did not; kept %s", len(e.Receipt.Ran), len(e.Receipt.NotRun), quote(e.Receipt.Text)), nil
	case events.ConversationRenamed:
		return fmt.Sprintf("%s, by %s", quote(e.Title), bare(string(e.By))), nil
	default:
		body, err := events.EncodeEvent(e)
		return bare(string(body)), err
	}
}

// bare is quote without the quotation marks, for what reads well without.
func bare(s string) string {
	q := quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

func usage(u events.Usage) string {
	s := fmt.Sprintf("%d tokens in, %d out", u.InputTokens, u.OutputTokens)
	if u.Estimated {
		s += ", estimated"
	}
	return s
}
