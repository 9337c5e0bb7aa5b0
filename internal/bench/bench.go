package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Options configure [Run].
type Options struct {
	// Command starts a role when the role's name and flags follow it.
	Command []string
	// Dir is where data may lie; a folder is made in it and removed. Default: the system's temporary one.
	Dir string
	// URL is a Parley that runs already; default: one of our own. Its model must
	// be ours, at ModelAddr.
	URL string
	// ModelAddr is where our model listens; default: a free port.
	ModelAddr string
	// Token returns a token of the Parley at URL.
	Token func(ctx context.Context, user string) (string, error)
	// Modes to run; default: all of them.
	Modes []string
	// Levels replace those of each mode.
	Levels []int
	// For is how long each level is measured; default 10 s.
	For time.Duration
	// AckWait is how long a dead agentworker goes unnoticed; default 15 s.
	AckWait time.Duration
	// Profiles is a folder that gets a CPU profile of each role and level.
	Profiles string
	// Compare are lines of an earlier run.
	Compare []Line
	// Lines gets one JSON line per level, Table rows for people.
	Lines, Table io.Writer
	Version      string
	Logger       *slog.Logger
}

// ErrWorse reports that a comparison found a ratio that is worse.
var ErrWorse = errors.New("worse than the earlier run")

// ErrLost reports lost or doubled tokens, or a failed answer: no figure makes up for that.
var ErrLost = errors.New("answers were not whole")

// A UsageError is an option that cannot be meant; nothing was started.
type UsageError struct{ error }

// A mode is one kind of load.
type mode struct {
	name   string
	levels []int
	run    func(*bench, context.Context, int) (*Line, error)
	// own: it needs processes that are ours.
	own bool
}

func modes() []mode {
	return []mode{
		{"stream", []int{1, 50, 200, 500}, (*bench).stream, false},
		{"tool", []int{1, 8}, (*bench).tool, false},
		{"idle", []int{5000}, (*bench).idle, true},
		{"resume", []int{200}, (*bench).resume, false},
		{"fanout", []int{100}, (*bench).fanout, false},
		{"slow", []int{50}, (*bench).slow, false},
		{"kill", []int{20}, (*bench).kill, true},
		{"scale", []int{1, 2, 4}, (*bench).scale, true},
		{"grow", []int{500, 5000}, (*bench).grow, false},
	}
}

// ModeNames returns the modes in the order in which they run.
func ModeNames() []string {
	var list []string
	for _, m := range modes() {
		list = append(list, m.name)
	}
	return list
}

// A bench is a run of all that was asked for.
type bench struct {
	o     Options
	clock *clock
	book  *book
	model *http.Server
	stack *stack // nil: the Parley is somebody else's
	dir   string
	name  string // of this run, part of its people's names

	oneAgent float64 // runs per second of one agentworker
}

// Run measures what o asks for. It returns ErrWorse or ErrLost, wrapped, when
// everything was measured and something is wrong.
func Run(ctx context.Context, o Options) (err error) {
	chosen, err := o.check()
	if err != nil {
		return UsageError{err}
	}
	dir, err := os.MkdirTemp(o.Dir, "parley-bench-")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the account that Postgres runs as passes through
		return fmt.Errorf("bench: %w", err)
	}
	b := &bench{o: o, clock: newClock(), book: newBook(), dir: dir, name: "b" + strconv.FormatInt(time.Now().Unix(), 36)}
	url, err := b.serveModel(ctx)
	if err != nil {
		return err
	}
	defer b.model.Close()
	if o.URL == "" {
		if b.stack, err = startStack(ctx, o, dir, url); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.stack.close()) }()
	}
	return b.all(ctx, chosen)
}

func (o *Options) check() ([]mode, error) {
	if o.For <= 0 {
		o.For = 10 * time.Second
	}
	if o.AckWait <= 0 {
		o.AckWait = 15 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.For > 10*time.Minute {
		return nil, errors.New("a level may take ten minutes")
	}
	for _, l := range o.Levels {
		if l < 1 || l > 10_000 {
			return nil, errors.New("a level is between 1 and 10,000")
		}
	}
	if o.URL != "" && o.ModelAddr == "" {
		return nil, errors.New("a Parley that runs already must take its answers from our model: choose an address for that")
	}
	var chosen []mode
	for _, m := range modes() {
		wanted := slices.Contains(o.Modes, m.name)
		if len(o.Modes) == 0 {
			wanted = o.URL == "" || !m.own
		}
		if wanted && m.own && o.URL != "" {
			return nil, fmt.Errorf("mode %s needs processes of its own, so it cannot be run against a Parley that runs already", m.name)
		}
		if wanted {
			chosen = append(chosen, m)
		}
	}
	for _, name := range o.Modes {
		if !slices.Contains(ModeNames(), name) {
			return nil, fmt.Errorf("there is no mode %q, only %s", name, strings.Join(ModeNames(), ", "))
		}
	}
	return chosen, nil
}

// serveModel starts the model in this process and returns its base URL.
func (b *bench) serveModel(ctx context.Context) (string, error) {
	addr := b.o.ModelAddr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return "", fmt.Errorf("model: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /v1/chat/completions", &model{b.clock, b.book})
	b.model = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = b.model.Serve(ln) }() // until it is closed
	return "http://" + ln.Addr().String() + "/v1", nil
}

// all runs the chosen modes and says in the end what was wrong.
func (b *bench) all(ctx context.Context, chosen []mode) error {
	t := &table{b.o.Table}
	if err := t.head(); err != nil {
		return err
	}
	var bad []error
	for _, m := range chosen {
		levels := m.levels
		if len(b.o.Levels) > 0 {
			levels = b.o.Levels
		}
		for _, level := range levels {
			line, err := m.run(b, ctx, level)
			if err != nil {
				return fmt.Errorf("%s %d: %w", m.name, level, err)
			}
			if err := t.row(line); err != nil {
				return err
			}
			line.details(b.o.Table)
			if err := b.write(line); err != nil {
				return err
			}
			if line.Lost+line.Doubled > 0 || line.Failure != "" {
				bad = append(bad, fmt.Errorf("%w: %s %d: %d tokens lost, %d doubled; %s", ErrLost, m.name, level, line.Lost, line.Doubled, line.Failure))
			}
			bad = append(bad, b.compare(line))
		}
	}
	return errors.Join(bad...)
}

func (b *bench) write(l *Line) error {
	if b.o.Lines == nil {
		return nil
	}
	out, err := json.Marshal(l, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return fmt.Errorf("line: %w", err)
	}
	_, err = b.o.Lines.Write(append(out, '\n'))
	return err
}

func (b *bench) line(mode string, level int) *Line {
	return &Line{Time: time.Now().UTC().Truncate(time.Second), Version: b.o.Version, Mode: mode, Level: level, Ratio: map[string]float64{}, Extra: map[string]float64{}}
}

// done adds what the machine was like, and judges.
func (b *bench) done(ctx context.Context, l *Line, u usage) (*Line, error) {
	l.Machine.Others, l.Machine.Steal, l.Machine.Known = round(u.others, 3), round(u.steal, 3), u.known
	list, err := fsyncTimes(b.dir)
	if err != nil {
		return nil, err
	}
	l.Machine.Fsync = ms(list.at(0.5))
	if b.stack != nil {
		commit, err := b.stack.commitTime(ctx)
		if err != nil {
			return nil, err
		}
		l.Machine.Commit = ms(commit)
	}
	l.Calm = l.Machine.Calm()
	l.relate()
	l.judge()
	return l, nil
}

// parley is the door of the Parley that is measured.
func (b *bench) parley() door {
	if b.stack == nil {
		return door{url: b.o.URL, token: b.o.Token}
	}
	return door{url: b.stack.edgeURL, token: func(_ context.Context, user string) (string, error) {
		t, _, err := b.stack.issuer.Issue(user)
		return t, err
	}}
}

func (b *bench) floorDoor() door { return door{url: b.stack.floorURL} }

func (b *bench) watched() []watched {
	if b.stack == nil {
		return nil
	}
	return b.stack.watched()
}

// profile fetches a CPU profile of each role beside the level that follows.
func (b *bench) profile(ctx context.Context, l *Line) {
	if b.o.Profiles == "" || b.stack == nil {
		return
	}
	b.stack.mu.Lock()
	defer b.stack.mu.Unlock()
	for p, addr := range b.stack.admin {
		if p.ended() {
			continue
		}
		to := filepath.Join(b.o.Profiles, fmt.Sprintf("%s-%d-%s-%d.pprof", l.Mode, l.Level, p.role, p.pid))
		go func() {
			if err := fetchProfile(ctx, addr, to, max(int(b.o.For.Seconds()), 1)); err != nil {
				b.o.Logger.Warn("profile", "role", p.role, "err", err)
			}
		}()
	}
}

func fetchProfile(ctx context.Context, addr, to string, seconds int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/debug/pprof/profile?seconds="+strconv.Itoa(seconds), nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, res.Body)
	return errors.Join(err, f.Close())
}
