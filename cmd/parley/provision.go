package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parleychat/parley/eventlog"
)

type provisionCmd struct {
	Join         `embed:""`
	Replicas     int           `help:"Copies of each stream: 1, or 3 in a cluster." default:"1" group:"Servers"`
	AgentAckWait time.Duration `help:"How long a dead agentworker goes unnoticed." default:"15s" group:"Servers"`
	ToolAckWait  time.Duration `help:"How long a dead toolworker goes unnoticed." default:"30s" group:"Servers"`
}

// Run creates what is missing and fails on what differs.
func (c *provisionCmd) Run(ctx context.Context, e *env) error {
	p := e.patience(c.Wait)
	ep, err := c.resolve(ctx, p)
	if err != nil {
		return err
	}
	nc, err := p.dial(ctx, "provision", ep.NATS)
	if err != nil {
		return err
	}
	defer nc.close()
	layout := eventlog.Layout{Replicas: c.Replicas, AgentAckWait: c.AgentAckWait, ToolAckWait: c.ToolAckWait}
	if err := provision(ctx, p, nc.Conn, c.DatabaseDirectURL, layout); err != nil {
		return err
	}
	fmt.Fprintln(e.stdout, "streams, consumers and tables are ready")
	return nil
}

func provision(ctx context.Context, p patience, nc *nats.Conn, databaseURL string, layout eventlog.Layout) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute+p.limit)
	defer cancel()
	if err := eventlog.Provision(ctx, nc, layout); err != nil {
		return err
	}
	return p.migrate(ctx, databaseURL)
}
