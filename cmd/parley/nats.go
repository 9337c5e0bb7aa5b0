package main

import (
	"context"

	"github.com/parleychat/parley/internal/embedded"
)

// natsCmd is a message server in a process of its own, the one that parley dev
// has inside: so the bench can tell what it costs from what the roles cost.
type natsCmd struct {
	DataDir string `required:"" help:"Folder of its store." type:"path"`
}

// Run serves until ctx ends. Whoever starts it reads from its log how to connect.
func (c *natsCmd) Run(ctx context.Context, e *env) error {
	n, err := embedded.StartNATS(embedded.NATSOptions{Dir: c.DataDir, Logger: e.logger})
	if err != nil {
		return err
	}
	defer n.Shutdown()
	at := n.Access()
	e.logger.Info("nats is up", "url", at.URL, "user", at.User, "password", at.Password)
	select {
	case <-ctx.Done():
		return nil
	case <-n.Fatal():
		return n.Err()
	}
}
