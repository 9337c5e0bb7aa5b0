package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/auth"
	"github.com/parleychat/parley/internal/embedded"
)

// startTimeout bounds the start of one process.
const startTimeout = time.Minute

// A stack is a whole Parley, each part a process of its own: NATS, Postgres,
// one edge, one agentworker, one toolworker, one recorder, and the floor.
type stack struct {
	command []string
	dir     string
	logger  *slog.Logger
	env     []string
	undo    []func() error

	nats     *process
	postgres *embedded.Postgres
	issuer   *auth.DevIssuer
	edge     *process
	edgeURL  string // http://…
	others   []*process
	floor    *process
	floorURL string // http://…

	mu     sync.Mutex
	agents []*process
	admin  map[*process]string // where profiles are
}

// startStack starts everything in dir, answered by the model at modelURL.
func startStack(ctx context.Context, o Options, dir, modelURL string) (_ *stack, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	s := &stack{command: o.Command, dir: dir, logger: o.Logger, admin: map[*process]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	data, err := embedded.Open(filepath.Join(dir, "data"))
	if err != nil {
		return nil, err
	}
	s.later(func() error { data.Close(); return nil })
	if err := s.startServers(ctx, data); err != nil {
		return nil, err
	}
	if err := s.startIssuer(ctx, filepath.Join(dir, "issuer")); err != nil {
		return nil, err
	}
	s.env = append(s.env, "OPENAI_BASE_URL="+modelURL, "OPENAI_MODEL="+modelName)
	p, err := start("provision", s.command, s.env, "provision", "--agent-ack-wait", o.AckWait.String())
	if err == nil {
		err = p.finish(ctx)
	}
	if err != nil {
		return nil, err
	}
	return s, s.startRoles(ctx, modelURL)
}

func (s *stack) later(f func() error) { s.undo = append(s.undo, f) }

// startServers starts NATS and Postgres.
func (s *stack) startServers(ctx context.Context, data *embedded.DataDir) (err error) {
	if s.nats, err = start("nats", s.command, nil, "nats", "--data-dir", data.NATS()); err != nil {
		return err
	}
	s.later(s.nats.stop)
	var at struct {
		URL      string `json:"url"`
		User     string `json:"user"`
		Password string `json:"password"`
	}
	if err := s.nats.wait(ctx, "nats is up", &at); err != nil {
		return err
	}
	u, err := url.Parse(at.URL)
	if err != nil {
		return fmt.Errorf("address of NATS: %w", err)
	}
	u.User = url.UserPassword(at.User, at.Password)
	s.postgres, err = embedded.StartPostgres(ctx, embedded.PostgresOptions{
		DataDir: data.Path(), Logger: s.logger, Find: embedded.FindOptions{Logger: s.logger},
	})
	if err != nil {
		return err
	}
	s.later(func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		return s.postgres.Stop(ctx)
	})
	s.env = append(s.env, "PARLEY_NATS_URL="+u.String(), "PARLEY_DATABASE_URL="+s.postgres.AppURL(), "PARLEY_DATABASE_DIRECT_URL="+s.postgres.OwnerURL())
	return nil
}

// startIssuer serves the key of an issuer whose tokens this process signs.
func (s *stack) startIssuer(ctx context.Context, dir string) (err error) {
	if s.issuer, err = auth.NewDevIssuer(auth.DevOptions{Dir: dir}); err != nil {
		return err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	server := &http.Server{Handler: s.issuer.JWKSHandler(), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(ln) }() // until it is closed
	s.later(server.Close)
	s.env = append(s.env, "PARLEY_AUTH_JWKS_URL=http://"+ln.Addr().String(), "PARLEY_AUTH_ISSUER="+auth.DevIssuerName, "PARLEY_AUTH_AUDIENCE="+auth.DevAudience)
	return nil
}

func (s *stack) startRoles(ctx context.Context, modelURL string) (err error) {
	var at struct {
		Addr string `json:"addr"`
	}
	if s.edge, err = s.role(ctx, "edge", "edge is up", "--addr", "127.0.0.1:0"); err != nil {
		return err
	}
	if err := s.edge.wait(ctx, "edge is up", &at); err != nil {
		return err
	}
	s.edgeURL = "http://" + at.Addr
	for role, ready := range map[string]string{"toolworker": "toolworker started", "recorder": "recording"} {
		p, err := s.role(ctx, role, ready)
		if err != nil {
			return err
		}
		s.others = append(s.others, p)
	}
	if s.floor, err = start("floor", s.command, nil, "bench-floor", "--model-url", modelURL); err != nil {
		return err
	}
	s.later(s.floor.stop)
	if err := s.floor.wait(ctx, "floor is up", &at); err != nil {
		return err
	}
	s.floorURL = "http://" + at.Addr
	s.later(func() error { return s.setAgents(context.WithoutCancel(ctx), 0, 0) })
	return s.setAgents(ctx, 1, manySlots)
}

// manySlots is more than any level has streams.
const manySlots = 2048

// agentReady is what an agentworker logs when it takes messages.
const agentReady = "agentworker started"

// role starts a role with its profiles on a port of its own.
func (s *stack) role(ctx context.Context, name, ready string, args ...string) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	admin, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	p, err := start(name, s.command, s.env, append([]string{name, "--admin-addr", admin}, args...)...)
	if err != nil {
		return nil, err
	}
	if name != "agentworker" { // those are stopped by setAgents
		s.later(p.stop)
	}
	s.mu.Lock()
	s.admin[p] = admin
	s.mu.Unlock()
	if err := p.wait(ctx, ready, nil); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

func freePort(ctx context.Context) (string, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// setAgents replaces the agentworkers by n new ones with so many slots each.
func (s *stack) setAgents(ctx context.Context, n, slots int) error {
	s.mu.Lock()
	old := s.agents
	s.agents = nil
	s.mu.Unlock()
	var errs []error
	for _, p := range old {
		if !p.ended() {
			errs = append(errs, p.stop())
		}
	}
	for range n {
		if err := s.addAgent(ctx, slots); err != nil {
			return errors.Join(append(errs, err)...)
		}
	}
	return errors.Join(errs...)
}

func (s *stack) addAgent(ctx context.Context, slots int) error {
	p, err := s.role(ctx, "agentworker", agentReady, "--slots", strconv.Itoa(slots))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agents = append(s.agents, p)
	return nil
}

// agent returns the agentworker whose name comes out of the channel.
func (s *stack) agent(ctx context.Context, name <-chan string) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	var worker string
	select {
	case worker = <-name:
	case <-ctx.Done():
		return nil, errors.New("no answer has begun")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.agents {
		var said struct {
			Worker string `json:"worker"`
		}
		if err := p.wait(ctx, agentReady, &said); err != nil {
			return nil, err
		}
		if said.Worker == worker {
			return p, nil
		}
	}
	return nil, fmt.Errorf("agentworker %s is not one of ours", worker)
}

// watched are the processes that make up Parley.
func (s *stack) watched() []watched {
	list := []watched{{"nats", s.nats.pid, false}, {"edge", s.edge.pid, false}}
	if pid := s.postmaster(); pid != 0 {
		list = append(list, watched{"postgres", pid, true})
	}
	for _, p := range s.others {
		list = append(list, watched{p.role, p.pid, false})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.agents {
		list = append(list, watched{p.role, p.pid, false})
	}
	return list
}

// postmaster finds Postgres among our children by the first line of its pid file.
func (s *stack) postmaster() int {
	b, err := os.ReadFile(filepath.Join(s.dir, "data", "postgres", "data", "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := cutLine(b)
	pid, err := strconv.Atoi(line)
	if err != nil {
		return 0
	}
	return pid
}

// commitTime returns the median of a Postgres commit that writes a little.
func (s *stack) commitTime(ctx context.Context) (time.Duration, error) {
	c, err := pgx.Connect(ctx, s.postgres.AppURL())
	if err != nil {
		return 0, fmt.Errorf("time of a commit: %w", err)
	}
	defer c.Close(ctx)
	var list samples
	for range fsyncs {
		begun := time.Now()
		if _, err := c.Exec(ctx, `SELECT pg_logical_emit_message(true, 'bench', repeat('x', 500))`); err != nil {
			return 0, fmt.Errorf("time of a commit: %w", err)
		}
		list = append(list, time.Since(begun))
	}
	slices.Sort(list)
	return list.at(0.5), nil
}

// close stops everything in reverse order.
func (s *stack) close() error {
	var errs []error
	for _, f := range slices.Backward(s.undo) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}
