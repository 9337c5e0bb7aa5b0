package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/auth"
	"github.com/parleychat/parley/internal/embedded"
)

// Roles of the processes.
const (
	roleEdge     = "edge"
	roleAgent    = "agentworker"
	roleTool     = "toolworker"
	roleRecorder = "recorder"
	roleNATS     = "nats"
)

// ackWait is how long a dead worker goes unnoticed; pauses are longer.
const ackWait = 2 * time.Second

// A world is everything that runs.
type world struct {
	dir     string
	procs   []*proc // roles, then NATS nodes
	nodes   []natsNode
	model   *model
	issuer  *auth.DevIssuer
	servers []*http.Server
	env     []string
	bin     string
	nc      *nats.Conn
	js      jetstream.JetStream

	pgOpts embedded.PostgresOptions
	pgMu   sync.Mutex
	pg     *embedded.Postgres
	pool   *pgxpool.Pool

	dying  []death
	healed atomic.Bool // nobody is told to kill itself any more

	stopKeeping context.CancelFunc
	keepers     sync.WaitGroup
}

// newWorld starts NATS, Postgres, issuer and model, provisions, and then starts
// the roles. close must be called also after an error.
func newWorld(ctx context.Context, o options, dir string) (*world, error) {
	w := &world{dir: dir, bin: o.bin, model: newModel(o.seed)}
	for _, step := range []func(context.Context, options) error{
		w.startNATS, w.startPostgres, w.startServers, w.provision, w.startRoles,
	} {
		if err := step(ctx, o); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w *world) logs() string { return filepath.Join(w.dir, "logs") }

func (w *world) startNATS(ctx context.Context, o options) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start nats: %w", err)
	}
	w.nodes, err = planNodes(o.nodes, func(i int) string { return filepath.Join(w.dir, "nats", strconv.Itoa(i+1)) })
	if err != nil {
		return err
	}
	var urls []string
	for _, n := range w.nodes {
		b, err := json.Marshal(n)
		if err != nil {
			return fmt.Errorf("start nats: %w", err)
		}
		args := []string{natsMode, string(b)}
		p, err := newProc(w.logs(), "nats-"+n.Name, roleNATS, self, os.Environ(), func() []string { return args })
		if err != nil {
			return err
		}
		p.piped = true
		w.procs = append(w.procs, p)
		if err := p.start(); err != nil {
			return err
		}
		urls = append(urls, n.url())
	}
	w.nc, err = nats.Connect(strings.Join(urls, ","), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(100*time.Millisecond), nats.ReconnectBufSize(-1), nats.Name("chaos"))
	if err != nil {
		return fmt.Errorf("start nats: %w", err)
	}
	if w.js, err = jetstream.New(w.nc, jetstream.WithDefaultTimeout(2*time.Second)); err != nil {
		return fmt.Errorf("start nats: %w", err)
	}
	w.env = append(w.env, "PARLEY_NATS_URL="+strings.Join(urls, ","))
	return w.until(ctx, 30*time.Second, "JetStream", func(ctx context.Context) error {
		_, err := w.js.AccountInfo(ctx)
		return err
	})
}

func (w *world) startPostgres(ctx context.Context, _ options) error {
	w.pgOpts = embedded.PostgresOptions{
		DataDir: filepath.Join(w.dir, "data"), Find: embedded.FindOptions{BinDir: os.Getenv("PARLEY_POSTGRES_BIN")},
		Logger: slog.New(slog.DiscardHandler),
	}
	if err := os.MkdirAll(w.pgOpts.DataDir, 0o755); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	var err error
	if w.pg, err = embedded.StartPostgres(ctx, w.pgOpts); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	w.env = append(w.env, "PARLEY_DATABASE_URL="+w.pg.AppURL(), "PARLEY_DATABASE_DIRECT_URL="+w.pg.OwnerURL())
	return nil
}

// restartPostgres stops the server as a crash of the whole machine would, keeps
// it away for a while, and starts it again on its data.
func (w *world) restartPostgres(ctx context.Context, away time.Duration) error {
	w.pgMu.Lock()
	defer w.pgMu.Unlock()
	if err := syscall.Kill(w.pg.PID(), syscall.SIGQUIT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop postgres: %w", err)
	}
	select {
	case <-w.pg.Done():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	pause(ctx, away)
	_ = w.pg.Stop(context.WithoutCancel(ctx)) // it has ended; this tidies up
	pg, err := embedded.StartPostgres(context.WithoutCancel(ctx), w.pgOpts)
	if err != nil {
		return fmt.Errorf("restart postgres: %w", err)
	}
	w.pg = pg
	return nil
}

func (w *world) startServers(_ context.Context, _ options) error {
	var err error
	if w.issuer, err = auth.NewDevIssuer(auth.DevOptions{Dir: filepath.Join(w.dir, "issuer")}); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	jwks, err := w.serve(w.issuer.JWKSHandler())
	if err != nil {
		return err
	}
	model, err := w.serve(w.model)
	if err != nil {
		return err
	}
	w.env = append(w.env,
		"OPENAI_BASE_URL=http://"+model+"/v1", "OPENAI_MODEL=scripted", "PARLEY_LOG_FORMAT=json", "PARLEY_LOG_LEVEL=info",
		"PARLEY_AUTH_JWKS_URL=http://"+jwks, "PARLEY_AUTH_ISSUER="+auth.DevIssuerName, "PARLEY_AUTH_AUDIENCE="+auth.DevAudience)
	return nil
}

// serve answers with h on a free port of loopback.
func (w *world) serve(h http.Handler) (addr string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	w.servers = append(w.servers, s)
	go func() { _ = s.Serve(l) }() // until close
	return l.Addr().String(), nil
}

func (w *world) provision(ctx context.Context, o options) error {
	// A young cluster has no leader for a while.
	return w.until(ctx, time.Minute, "parley provision", func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, w.bin, "provision", "--replicas", strconv.Itoa(o.nodes),
			"--agent-ack-wait", ackWait.String(), "--tool-ack-wait", ackWait.String())
		cmd.Env = w.environ(nil)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// verify asks parley itself whether the database is what its archive says.
func (w *world) verify(ctx context.Context) (differences string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.bin, "verify")
	cmd.Env = w.environ(nil)
	out, err := cmd.CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); ended && ctx.Err() == nil {
		return string(out), nil
	}
	if err != nil {
		return "", fmt.Errorf("parley verify: %w", err)
	}
	return "", nil
}

// environ is what a role's process sees: ours without what would steer it.
func (w *world) environ(extra []string) []string {
	var list []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PARLEY_") && !strings.HasPrefix(v, "OPENAI_") {
			list = append(list, v)
		}
	}
	return append(append(list, w.env...), extra...)
}

func (w *world) startRoles(ctx context.Context, o options) error {
	kctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w.stopKeeping = cancel
	var extra []string
	if o.plant != "" {
		extra = append(extra, "PARLEY_PLANT="+o.plant)
	}
	sc := sceneOf(o)
	w.dying = sc.deaths
	add := func(role string, count int, args ...string) error {
		for i := range count {
			name := fmt.Sprintf("%s-%d", role, i+1)
			var port atomic.Pointer[string]
			p, err := newProc(w.logs(), name, role, w.bin, w.environ(extra), nil)
			if err != nil {
				return err
			}
			rng := rand.New(rand.NewPCG(o.seed, mix(o.seed, name)))
			p.more = func() []string {
				if w.healed.Load() {
					return nil
				}
				return sc.faultsAt(role, rng)
			}
			p.args = func() []string {
				list := append([]string{role}, args...)
				if role == roleAgent {
					// Some hand over what they do, some finish it.
					list = append(list, "--grace", []string{"300ms", "2s", "6s"}[i%3])
				}
				if role == roleEdge {
					addr := "127.0.0.1:0"
					if known := port.Load(); known != nil {
						addr = *known
					}
					list = append(list, "--addr", addr)
				}
				return list
			}
			w.procs = append(w.procs, p)
			if err := p.start(); err != nil {
				return err
			}
			w.keepers.Go(func() { p.keep(kctx) })
			if role == roleEdge {
				select {
				case <-p.known:
					addr := p.address()
					port.Store(&addr)
				case <-ctx.Done():
					return fmt.Errorf("%s does not listen: %w", name, context.Cause(ctx))
				case <-time.After(30 * time.Second):
					return fmt.Errorf("%s does not listen", name)
				}
			}
		}
		return nil
	}
	return errors.Join(add(roleEdge, 2, "--grace", "3s"), add(roleAgent, 3), add(roleTool, 2, "--grace", "5s"), add(roleRecorder, 2))
}

// of returns the processes of a role, in order.
func (w *world) of(role string) []*proc {
	var list []*proc
	for _, p := range w.procs {
		if p.role == role {
			list = append(list, p)
		}
	}
	return list
}

// edges are the URLs under which the edges were last seen.
func (w *world) edges() []string {
	var urls []string
	for _, p := range w.of(roleEdge) {
		urls = append(urls, "http://"+p.address())
	}
	return urls
}

// heal wakes, restarts and waits for everything.
func (w *world) heal(ctx context.Context) error {
	w.healed.Store(true)
	for _, p := range w.procs {
		if slices.ContainsFunc(w.dying, func(d death) bool { return d.role == p.role }) {
			if err := p.kill(ctx); err != nil {
				return err
			}
		}
	}
	for _, p := range w.procs {
		if err := errors.Join(p.signal(syscall.SIGCONT, false), p.start()); err != nil {
			return err
		}
	}
	for _, url := range w.edges() {
		err := w.until(ctx, time.Minute, "an edge to be ready", func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
			if err != nil {
				return err
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			b, err := io.ReadAll(io.LimitReader(res.Body, 4096))
			if err == nil && res.StatusCode != http.StatusOK {
				err = fmt.Errorf("%s: %s", res.Status, b)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// until repeats f until it succeeds, or limit is over.
func (w *world) until(ctx context.Context, limit time.Duration, what string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		actx, stop := context.WithTimeout(ctx, limit/2)
		err := f(actx)
		stop()
		if err == nil {
			return nil
		}
		if !pause(ctx, 200*time.Millisecond) {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
	}
}

// close ends everything that newWorld has started, also after ctx has ended.
func (w *world) close(ctx context.Context) error {
	if w.stopKeeping != nil {
		w.stopKeeping()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	var errs []error
	for _, p := range slices.Backward(w.procs) {
		if p.role == roleNATS {
			continue
		}
		errs = append(errs, p.kill(ctx))
	}
	w.keepers.Wait()
	if w.nc != nil {
		w.nc.Close()
	}
	for _, p := range w.of(roleNATS) {
		errs = append(errs, p.kill(ctx))
	}
	for _, p := range w.procs {
		errs = append(errs, p.log.Close())
	}
	if w.pool != nil {
		w.pool.Close()
	}
	if w.pg != nil {
		errs = append(errs, w.pg.Stop(ctx))
	}
	for _, s := range w.servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
