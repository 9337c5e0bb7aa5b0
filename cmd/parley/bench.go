package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/parleychat/parley/internal/bench"
)

type benchCmd struct {
	URL       string        `help:"Address of a Parley on this machine; default: one is started for the bench alone." group:"Client"`
	ModelAddr string        `help:"Where the bench's model listens, for a Parley at --url that takes its answers from it." group:"Bench"`
	Modes     []string      `help:"What to measure; default: everything." group:"Bench"`
	Levels    []int         `help:"How many at once, in place of each mode's own levels." group:"Bench"`
	For       time.Duration `help:"How long each level is measured." default:"10s" group:"Bench"`
	JSON      string        `name:"json" env:"-" help:"File that gets one JSON line per level." type:"path" group:"Bench"`
	Compare   string        `help:"Lines of an earlier run; exit 1 if a ratio is 25 % worse and the machine was calm." type:"path" group:"Bench"`
	Profiles  string        `help:"Folder that gets a CPU profile of each role and level." type:"existingdir" group:"Bench"`

	AgentAckWait time.Duration `help:"How long a dead agentworker goes unnoticed." default:"15s" group:"Servers"`
}

// Run measures a Parley of its own, or the one at --url.
func (c *benchCmd) Run(ctx context.Context, e *env) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o := bench.Options{
		Command: []string{self}, URL: strings.TrimRight(c.URL, "/"), ModelAddr: c.ModelAddr, Modes: c.Modes, Levels: c.Levels, For: c.For,
		AckWait: c.AgentAckWait, Profiles: c.Profiles, Table: e.stdout, Version: version, Logger: e.logger,
	}
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || !loopback(hostPort(u)) {
			return usagef("--url: a bench is load, which stays on this machine; name a Parley on loopback")
		}
		o.Token = (&tokens{url: o.URL, known: map[string]string{}}).of
	}
	if c.ModelAddr != "" && !loopback(c.ModelAddr) {
		return usagef("--model-addr: the bench's model answers anyone, so it listens on loopback only")
	}
	if c.Compare != "" {
		f, err := os.Open(c.Compare)
		if err != nil {
			return usagef("--compare: %w", err)
		}
		o.Compare, err = bench.ReadLines(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return usagef("--compare: %w", err)
		}
	}
	if c.JSON != "" {
		f, err := os.Create(c.JSON)
		if err != nil {
			return usagef("--json: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		o.Lines = io.Writer(f)
	}
	err = bench.Run(ctx, o)
	if errors.As(err, new(bench.UsageError)) {
		return usageError{err}
	}
	return err
}

func hostPort(u *url.URL) string {
	if u.Port() == "" {
		return u.Host + ":80"
	}
	return u.Host
}

// benchFloorCmd is the process of the bench's bare proxy.
type benchFloorCmd struct {
	ModelURL string `required:"" help:"Base URL of the bench's model."`
}

// Run serves until ctx ends.
func (c *benchFloorCmd) Run(ctx context.Context, e *env) error {
	return bench.Floor{ModelURL: c.ModelURL, Logger: e.logger}.Run(ctx)
}

// tokens asks the dev issuer of a running Parley for tokens, each person's once.
type tokens struct {
	url   string
	mu    sync.Mutex
	known map[string]string
}

func (t *tokens) of(ctx context.Context, user string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if token, ok := t.known[user]; ok {
		return token, nil
	}
	token, err := (&caller{url: t.url, user: user}).devToken(ctx)
	if err != nil {
		return "", fmt.Errorf("token for %s: %w", user, err)
	}
	t.known[user] = token
	return token, nil
}
