package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/parleychat/parley/recorder"
)

type verifyCmd struct {
	Join `embed:""`
	JSON bool `help:"Print JSON; of commits one a line." group:"Client"`
}

// Run checks the database against its archive and fails if a row differs.
func (c *verifyCmd) Run(ctx context.Context, e *env) error {
	p := e.patience(c.Wait)
	ep, err := c.resolve(ctx, p, false)
	if err != nil {
		return err
	}
	// The direct login owns the tables, and no pooler is asked for ten connections.
	store, err := p.openStore(ctx, c.DatabaseDirectURL)
	if err != nil {
		return err
	}
	defer store.Close()
	o := recorder.VerifyOptions{Store: store}
	if ep.NATS.URL != "" {
		nc, err := p.dial(ctx, "verify", ep.NATS)
		if err != nil {
			return err
		}
		defer nc.close()
		if o.Log, err = p.openLog(ctx, nc); err != nil {
			return err
		}
	}
	r, err := recorder.Verify(ctx, o)
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(e.stdout).Encode(r)
	} else {
		err = printReport(e.stdout, r)
	}
	if err == nil && r.Differences.Count > 0 {
		err = fmt.Errorf("%d differences", r.Differences.Count)
	}
	return err
}

func printReport(w io.Writer, r *recorder.Report) error {
	line := func(format string, a ...any) { fmt.Fprintf(w, format+"\n", a...) }
	line("checked %d conversations: %d commits, %d events, %d tool calls, %d tasks in %.1f s (%.0f events/s)",
		r.Conversations, r.Commits, r.Events, r.Calls, r.Tasks, r.Took.Seconds(), float64(r.Events)/r.Took.Seconds())
	for _, p := range r.Positions {
		line("recorded  %s up to %d", p.Stream, p.Seq)
	}
	for _, reason := range slices.Sorted(maps.Keys(r.Rejected)) {
		line("rejected  %d messages of the log: %s; see table archive_rejected", r.Rejected[reason], reason)
	}
	for _, k := range []struct {
		name string
		recorder.Findings
	}{{"pending", r.Pending}, {"unverifiable", r.Unverifiable}, {"difference", r.Differences}} {
		for _, f := range k.List {
			line("%-13s %s", k.name, f)
		}
		if more := k.Count - len(k.List); more > 0 {
			line("%-13s and %d more", k.name, more)
		}
	}
	_, err := fmt.Fprintf(w, "%d differences, %d unverifiable, %d pending\n", r.Differences.Count, r.Unverifiable.Count, r.Pending.Count)
	return err
}
