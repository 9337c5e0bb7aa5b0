package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/parleychat/parley/events"
)

type replayCmd struct {
	Client       `embed:""`
	Conversation string  `arg:"" help:"The conversation's id; home is what was done by hand."`
	Speed        float64 `help:"Wait between commits as they did, this many times faster, ten seconds at most; 0 does not wait." default:"0" group:"Client"`
	At           uint64  `help:"End with the commit of this n." group:"Client"`
	JSON         bool    `help:"Print JSON; of commits one a line." group:"Client" xor:"format"`
	Markdown     bool    `help:"Print as a Markdown text." group:"Client" xor:"format"`
}

// replayPause bounds the wait between two commits: nobody watches a night pass.
const replayPause = 10 * time.Second

// Run prints what is stored; no model and no tool is called.
func (c *replayCmd) Run(ctx context.Context, e *env) error {
	if c.Speed < 0 {
		return usagef("--speed must be 0 or more")
	}
	if !events.ValidID(c.Conversation) {
		return usagef("a conversation's id has letters, digits, - and _, 64 at most")
	}
	a, err := c.caller(ctx, e)
	if err != nil {
		return err
	}
	query := url.Values{"format": {"jsonl"}}
	if c.Markdown {
		query.Set("format", "markdown")
	}
	if c.At > 0 {
		query.Set("at", strconv.FormatUint(c.At, 10))
	}
	res, err := a.request(ctx, http.MethodGet, "/api/"+a.user+"/conversations/"+c.Conversation+"/export?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // read to its end, or given up
	if c.Markdown || c.JSON && c.Speed == 0 {
		_, err := io.Copy(e.stdout, res.Body)
		return err
	}
	return c.timeline(ctx, e, res.Body)
}

// timeline prints the commits of an export and what they add up to.
func (c *replayCmd) timeline(ctx context.Context, e *env, body io.Reader) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 64<<10), events.MaxCommit+1)
	var state *events.Conversation
	var last time.Time
	for lines.Scan() {
		k, err := events.DecodeCommit(lines.Bytes())
		if err != nil {
			return err
		}
		if state == nil {
			ref, err := k.Ref()
			if err != nil {
				return err
			}
			state, last = events.NewConversation(ref), k.Time
		}
		if err := state.Apply(k); err != nil {
			return err
		}
		if err := c.wait(ctx, k.Time.Sub(last)); err != nil {
			return err
		}
		last = k.Time
		if c.JSON {
			_, err = fmt.Fprintf(e.stdout, "%s\n", lines.Bytes())
		} else {
			err = printCommit(e.stdout, k, offset(k.Time.Sub(state.CreatedAt)))
		}
		if err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	switch {
	case state == nil:
		return errors.New("the conversation has no commits yet")
	case c.JSON:
		return nil
	}
	return printState(e.stdout, state)
}

// wait lets as much time pass as passed then.
func (c *replayCmd) wait(ctx context.Context, then time.Duration) error {
	if c.Speed == 0 || then <= 0 {
		return nil
	}
	t := time.NewTimer(min(time.Duration(float64(then)/c.Speed), replayPause))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// offset is a time since the first commit.
func offset(d time.Duration) string {
	d = d.Round(time.Millisecond)
	return fmt.Sprintf("+%02d:%02d:%06.3f", int(d.Hours()), int(d.Minutes())%60, (d % time.Minute).Seconds())
}

// printState prints what a conversation is after its last commit.
func printState(w io.Writer, c *events.Conversation) error {
	title := strconv.Quote(c.Title)
	if c.Title == "" {
		title = "no title"
	}
	count := map[events.Status]int{}
	calls := len(c.Calls)
	for _, r := range c.Runs {
		count[r.Status]++
		calls += len(r.Calls)
	}
	fmt.Fprintf(w, "as of n=%d: %s, %d messages, %d tool calls", c.N, title, len(c.Runs), calls)
	for _, s := range []events.Status{events.Queued, events.InProgress, events.RequiresAction, events.Cancelling, events.Completed, events.Failed, events.Cancelled} {
		if count[s] > 0 {
			fmt.Fprintf(w, ", %d %s", count[s], s)
		}
	}
	if c.Skipped > 0 {
		fmt.Fprintf(w, ", %d events of types that this build does not know", c.Skipped)
	}
	_, err := fmt.Fprintln(w)
	return err
}
