package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/parleychat/parley/recorder"
)

type rebuildCmd struct {
	Join    `embed:""`
	Restart bool `help:"Begin anew although an earlier rebuild was not finished." group:"Servers"`
	JSON    bool `help:"Print JSON; of commits one a line." group:"Client"`
}

// Run writes the read models again; while it runs, roles go on.
func (c *rebuildCmd) Run(ctx context.Context, e *env) error {
	p := e.patience(c.Wait)
	if _, err := c.resolve(ctx, p, false); err != nil {
		return err
	}
	store, err := p.openStore(ctx, c.DatabaseDirectURL)
	if err != nil {
		return err
	}
	defer store.Close()
	r, err := recorder.Rebuild(ctx, recorder.RebuildOptions{Store: store, Logger: e.logger, Restart: c.Restart})
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(r)
	}
	for _, f := range r.Kept {
		fmt.Fprintf(e.stdout, "kept  %s\n", f)
	}
	_, err = fmt.Fprintf(e.stdout, "rebuilt %d conversations in %.1f s\n", r.Conversations, r.Took.Seconds())
	if err == nil && len(r.Kept) > 0 {
		err = fmt.Errorf("%d conversations have an archive that cannot be folded; their rows are as before", len(r.Kept))
	}
	return err
}
