package main

import (
	"context"
	"io/fs"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/parleychat/parley/agentworker"
	"github.com/parleychat/parley/agentworker/openai"
	"github.com/parleychat/parley/auth"
	"github.com/parleychat/parley/edge"
	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/frontend"
	"github.com/parleychat/parley/internal/embedded"
	"github.com/parleychat/parley/readmodel"
	"github.com/parleychat/parley/recorder"
	"github.com/parleychat/parley/toolworker"
	"github.com/parleychat/parley/toolworker/tasks"
)

// A role runs until its context ends.
type role interface{ Run(context.Context) error }

// together runs roles until the first fails or ctx ends.
func together(ctx context.Context, roles ...role) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range roles {
		g.Go(func() error { return r.Run(ctx) })
	}
	return g.Wait()
}

// roleFunc makes a role of a function.
type roleFunc func(context.Context) error

// Run implements role.
func (f roleFunc) Run(ctx context.Context) error { return f(ctx) }

// A base is what every role needs.
type base struct {
	nats  *connection
	log   *eventlog.Log
	store *readmodel.Store
	ep    embedded.Endpoint
	join  string // the data directory that ep comes from, or ""
	e     *env
}

func (b *base) close() {
	if b.store != nil {
		b.store.Close()
	}
	if b.nats != nil {
		b.nats.close()
	}
}

// connect resolves j and connects to NATS and Postgres.
func (j *Join) connect(ctx context.Context, e *env, name string) (_ *base, err error) {
	b := &base{join: j.Join, e: e}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	p := e.patience(j.Wait)
	if b.ep, err = j.resolve(ctx, p, true); err != nil {
		return nil, err
	}
	if b.nats, err = p.dial(ctx, name, b.ep.NATS); err != nil {
		return nil, err
	}
	if b.log, err = p.openLog(ctx, b.nats); err != nil {
		return nil, err
	}
	if b.store, err = p.openStore(ctx, j.DatabaseURL); err != nil {
		return nil, err
	}
	return b, nil
}

type agentworkerCmd struct {
	Join  `embed:""`
	Admin `embed:""`
	Model `embed:""`
	Slots int           `help:"Model calls or tool calls at once." default:"256" group:"Model"`
	Grace time.Duration `help:"How long running work may finish after a stop signal." default:"20s" group:"Servers"`
}

// Run runs an agentworker.
func (c *agentworkerCmd) Run(ctx context.Context, e *env) error {
	b, err := c.connect(ctx, e, "agentworker")
	if err != nil {
		return err
	}
	defer b.close()
	if c.OpenaiBaseURL == "" {
		c.OpenaiBaseURL = b.ep.Settings["openai-base-url"]
	}
	if c.Model.Model == "" {
		c.Model.Model = b.ep.Settings["model"]
	}
	p := e.patience(c.Wait)
	aside, err := p.dial(ctx, "agentworker", b.ep.NATS)
	if err != nil {
		return err
	}
	defer aside.close()
	deltas, err := p.openLog(ctx, aside)
	if err != nil {
		return err
	}
	w, err := newAgentworker(e, b.log, deltas, b.store, c.Model, c.Slots, c.Grace)
	if err != nil {
		return err
	}
	return together(ctx, w, c.role(e, b), roleFunc(b.nats.watch), roleFunc(aside.watch), roleFunc(b.follow))
}

func newAgentworker(e *env, log, deltas *eventlog.Log, store *readmodel.Store, m Model, slots int, grace time.Duration) (*agentworker.Worker, error) {
	key, err := e.secret("OPENAI_API_KEY")
	if err != nil {
		return nil, err
	}
	if m.Model == "" {
		return nil, usagef("set --model (OPENAI_MODEL) to the name of the model that answers")
	}
	if key == "" && m.OpenaiBaseURL == "" {
		return nil, usagef("set OPENAI_API_KEY, or --openai-base-url to a model server that needs no key")
	}
	client, err := openai.New(openai.Options{BaseURL: m.OpenaiBaseURL, APIKey: key, Logger: e.logger})
	if err != nil {
		return nil, usageError{err}
	}
	var text []byte
	if m.SystemPrompt != "" {
		if text, err = os.ReadFile(m.SystemPrompt); err != nil {
			return nil, usagef("--system-prompt: %w", err)
		}
	}
	prompt, err := agentworker.ParsePrompt(string(text))
	if err != nil {
		return nil, usageError{err}
	}
	return agentworker.New(agentworker.Options{
		Log: log, Deltas: deltas, Archive: store, Model: client, Prompt: prompt, Slots: slots, Grace: grace, Logger: e.logger,
		Rules: agentworker.Rules{Model: m.Model, Tools: tasks.Tools()},
	})
}

type toolworkerCmd struct {
	Join  `embed:""`
	Admin `embed:""`
	Slots int           `help:"Model calls or tool calls at once." default:"32" group:"Servers"`
	Grace time.Duration `help:"How long running work may finish after a stop signal." default:"10s" group:"Servers"`
}

// Run runs a toolworker.
func (c *toolworkerCmd) Run(ctx context.Context, e *env) error {
	b, err := c.connect(ctx, e, "toolworker")
	if err != nil {
		return err
	}
	defer b.close()
	a := c.role(e, b)
	w, err := toolworker.New(toolworker.Options{
		Log: b.log, Pool: b.store.Pool(), Slots: c.Slots, Grace: c.Grace, Logger: e.logger, Registerer: a.registry,
	})
	if err != nil {
		return err
	}
	return together(ctx, w, a, roleFunc(b.nats.watch), roleFunc(b.follow))
}

type recorderCmd struct {
	Join        `embed:""`
	Admin       `embed:""`
	AdoptNewLog bool `help:"Record from the start of a log that replaced the recorded one, such as after NATS lost its store." group:"Servers"`
}

// Run runs a recorder.
func (c *recorderCmd) Run(ctx context.Context, e *env) error {
	b, err := c.connect(ctx, e, "recorder")
	if err != nil {
		return err
	}
	defer b.close()
	a := c.role(e, b)
	r, err := recorder.New(recorder.Options{Log: b.log, Store: b.store, Logger: e.logger, Registerer: a.registry, AdoptNewLog: c.AdoptNewLog})
	if err != nil {
		return err
	}
	a.own = r.Ready
	streams, err := newStreamMetrics(b.nats.Conn)
	if err != nil {
		return err
	}
	if err := a.registry.Register(streams); err != nil {
		return err
	}
	return together(ctx, r, a, roleFunc(b.nats.watch), roleFunc(b.follow))
}

// Auth is whose tokens the edge takes.
type Auth struct {
	AuthJwksURL    string   `name:"auth-jwks-url" help:"URL of the issuer's JWKS." group:"Auth"`
	AuthIssuer     string   `help:"The iss claim that tokens must have." group:"Auth"`
	AuthAudience   string   `help:"The aud claim that tokens must have." group:"Auth"`
	AllowedOrigins []string `help:"Web origins that may call the API, exactly as browsers send them; the page's own is allowed on loopback." group:"Auth"`
}

type edgeCmd struct {
	Join      `embed:""`
	Auth      `embed:""`
	Addr      string        `help:"Where the page and the API listen; for dev on loopback only." default:"127.0.0.1:7420" group:"Servers"`
	AdminAddr string        `help:"Where metrics and profiles listen; nothing there asks who you are." group:"Servers"`
	Model     string        `env:"OPENAI_MODEL" help:"Name of the model that answers." group:"Model"`
	Linger    time.Duration `help:"How long a stopping edge says that it is not ready, and sends requests elsewhere, before it closes its address." default:"1s" group:"Servers"`
	WhenBusy  string        `enum:"queue,interrupt" help:"What a message does while an answer is being written: queue behind it, or interrupt it; a message may say otherwise." default:"queue" group:"Servers"`
	Grace     time.Duration `help:"How long running work may finish after a stop signal." default:"10s" group:"Servers"`
}

// Run runs an edge.
func (c *edgeCmd) Run(ctx context.Context, e *env) error {
	b, err := c.connect(ctx, e, "edge")
	if err != nil {
		return err
	}
	defer b.close()
	for setting, v := range map[string]*string{
		"auth-jwks-url": &c.AuthJwksURL, "auth-issuer": &c.AuthIssuer, "auth-audience": &c.AuthAudience, "model": &c.Model,
	} {
		if *v == "" {
			*v = b.ep.Settings[setting]
		}
	}
	if c.AuthJwksURL == "" || c.AuthIssuer == "" || c.AuthAudience == "" {
		return usagef("an edge needs an issuer: set --auth-jwks-url, --auth-issuer and --auth-audience")
	}
	if c.Model == "" {
		return usagef("set --model (OPENAI_MODEL) to the name of the model that answers")
	}
	verifier, err := auth.New(auth.Options{JWKSURL: c.AuthJwksURL, Issuer: c.AuthIssuer, Audience: c.AuthAudience, Logger: e.logger})
	if err != nil {
		return usageError{err}
	}
	if c.AdminAddr != "" {
		if _, err := reserve(ctx, "--admin-addr", c.AdminAddr); err != nil {
			return err
		}
	}
	if c.Addr, err = reserve(ctx, "--addr", c.Addr); err != nil {
		return err
	}
	origins := c.AllowedOrigins
	if len(origins) == 0 && loopback(c.Addr) {
		origins = localOrigins(c.Addr)
	}
	set, err := auth.NewOrigins(auth.OriginsOptions{Entries: origins, LoopbackHTTP: loopback(c.Addr)})
	if err != nil {
		return usagef("--allowed-origins: %w", err)
	}
	ed, err := edge.New(edge.Options{
		Addr: c.Addr, AdminAddr: c.AdminAddr, Log: b.log, Queries: b.store, Verifier: verifier, Origins: set, Page: builtPage(),
		Model: modelInfo(c.Model), Tools: tasks.Tools(), ServerVersion: version, Interrupt: c.WhenBusy == "interrupt", Logger: e.logger, Linger: c.Linger, Grace: c.Grace,
		Collectors: []prometheus.Collector{natsMetric(e)},
	})
	if err != nil {
		return err
	}
	return together(ctx, ed, verifier, roleFunc(b.nats.watch), roleFunc(b.follow))
}

// builtPage is the page that this binary holds, or nil.
func builtPage() fs.FS {
	if !frontend.Built() {
		return nil
	}
	return frontend.Files()
}

// demoModel is the name of the rule-based model; messages, commits and the page
// carry it, so that nobody takes it for an AI.
const demoModel = "demo"

func modelInfo(name string) edge.Model {
	if name == demoModel {
		return edge.Model{Name: name, Label: "Demo model, no AI", Demo: true}
	}
	return edge.Model{Name: name, Label: name}
}
