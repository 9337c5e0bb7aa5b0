package main

import (
	"context"
	"fmt"
	"time"

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
	ep, err := c.resolve(ctx, p, true)
	if err != nil {
		return err
	}
	nc, err := p.dial(ctx, "provision", ep.NATS)
	if err != nil {
		return err
	}
	defer nc.close()
	layout := eventlog.Layout{Replicas: c.Replicas, AgentAckWait: c.AgentAckWait, ToolAckWait: c.ToolAckWait}
	if err := p.provision(ctx, nc, layout); err != nil {
		return err
	}
	if err := p.migrate(ctx, c.DatabaseDirectURL, "--database-url and --database-direct-url"); err != nil {
		return err
	}
	fmt.Fprintln(e.stdout, "streams, consumers and tables are ready")
	return nil
}

// provisionTime bounds what provisioning does when the servers are there.
const provisionTime = 2 * time.Minute

// provision makes the streams, as soon as there is a JetStream to make them in.
func (p patience) provision(ctx context.Context, c *connection, layout eventlog.Layout) error {
	ctx, cancel := context.WithTimeout(ctx, provisionTime+p.limit)
	defer cancel()
	return p.wait(ctx, "JetStream", redact(c.ConnectedUrl()), natsAway, func(ctx context.Context) error {
		return eventlog.Provision(ctx, c.Conn, layout)
	})
}
