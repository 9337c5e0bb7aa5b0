//go:build faults

package faulttest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/auth"
	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/readmodel"
)

// ackWait is how long the death of a worker goes unnoticed here.
const ackWait = 2 * time.Second

// worldEnd bounds a test. Most take three seconds; a machine may have much else to do.
const worldEnd = 2 * time.Minute

// worlds is how many tests run at once. Most of a test is waiting for an AckWait.
const worlds = 8

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", fmt.Sprint(worlds)); err != nil {
		panic(err)
	}
	testkit.Main(m)
}

// built is the binary under test, made at most once.
var built = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("PARLEY_FAULTS_BIN"); bin != "" {
		return bin, nil
	}
	bin, err := filepath.Abs("../../bin/parley-faults")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-tags", "faults", "-o", bin, "../../cmd/parley").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return bin, nil
})

// A world is one installation of Parley: processes, what they stand on, and the
// people who use it.
type world struct {
	t      *testing.T
	ctx    context.Context
	bin    string
	env    []string
	server *testkit.NATSServer
	issuer *auth.DevIssuer
	model  *model

	nc    *nats.Conn
	js    jetstream.JetStream
	db    testkit.Database
	pool  *pgxpool.Pool
	store *readmodel.Store

	readers []*reader

	mu     sync.Mutex
	found  []violation // by the story itself, or on the wire
	deltas texts
	urls   []string // of edges, the newest last
}

// newWorld makes a world without processes. Its roles will have the bugs planted.
func newWorld(t *testing.T, bugs ...fault.Bug) *world {
	t.Helper()
	w := &world{t: t, deltas: texts{}}
	var cancel context.CancelFunc
	w.ctx, cancel = context.WithTimeoutCause(t.Context(), worldEnd, errors.New("the world took longer than "+worldEnd.String()))
	t.Cleanup(cancel)
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	var err error
	w.bin, err = built()
	must(err)
	w.server = testkit.StartNATS(t)
	w.db, w.nc = testkit.Postgres(t), w.server.Connect(t)
	must(eventlog.Provision(w.ctx, w.nc, eventlog.Layout{AgentAckWait: ackWait, ToolAckWait: ackWait}))
	w.js, err = jetstream.New(w.nc)
	must(err)
	_, err = w.nc.Subscribe("delta.>", w.delta)
	must(err)
	w.pool = w.db.Owner(t)
	w.store, err = readmodel.Open(w.ctx, w.db.AppURL, readmodel.Options{})
	must(err)
	t.Cleanup(w.store.Close)
	w.issuer, err = auth.NewDevIssuer(auth.DevOptions{Dir: t.TempDir()})
	must(err)
	jwks := httptest.NewServer(w.issuer.JWKSHandler())
	t.Cleanup(jwks.Close)
	w.model = newModel(t)
	var plant []string
	for _, b := range bugs {
		plant = append(plant, string(b))
	}
	w.env = append(os.Environ(),
		"PARLEY_NATS_URL="+w.server.URL(), "PARLEY_DATABASE_URL="+w.db.AppURL, "PARLEY_DATABASE_DIRECT_URL="+w.db.OwnerURL,
		"OPENAI_BASE_URL="+w.model.URL, "OPENAI_MODEL=scripted", "PARLEY_PLANT="+strings.Join(plant, ","),
		"PARLEY_AUTH_JWKS_URL="+jwks.URL, "PARLEY_AUTH_ISSUER="+auth.DevIssuerName, "PARLEY_AUTH_AUDIENCE="+auth.DevAudience,
		"PARLEY_LOG_FORMAT=json", "PARLEY_LOG_LEVEL=info")
	return w
}

// delta looks at a piece of an answer before any edge does.
func (w *world) delta(m *nats.Msg) {
	d, err := events.DecodeDelta(m.Data)
	if err != nil {
		w.blame("I3", "%v", err)
		return
	}
	w.mu.Lock()
	at, ok := w.deltas.add(place{d.RunID, d.Step, d.Attempt}, d.Offset, d.Text)
	w.mu.Unlock()
	if !ok {
		w.blame("I3", "two texts on the wire at byte %d of %s, step %d, attempt %d", at, d.RunID, d.Step, d.Attempt)
	}
}

// A process is one running role.
type process struct {
	w      *world
	role   string
	cmd    *exec.Cmd
	log    string // its fault log
	done   chan struct{}
	mortal bool // it may end
	said   testkit.Output
}

// ready is what each role says once it works.
var ready = map[string]string{
	"edge": `"addr":"127.0.0.1:`, "agentworker": "agentworker started", "toolworker": "toolworker started", "recorder": `"level":"INFO"`,
}

// start starts a role and waits until it works. It must not end before the test
// does, unless it is told to.
func (w *world) start(role string, args ...string) *process {
	w.t.Helper()
	return w.launch(role, nil, args...)
}

// doom starts a role that will die at a point, when it passes there for the k-th time.
// How is nothing, or ":stop" for one that will stop and can be woken.
func (w *world) doom(role string, at fault.Point, k int, how ...string) *process {
	w.t.Helper()
	p := w.launch(role, []string{fmt.Sprintf("PARLEY_FAULT=%s:%d%s", at, k, strings.Join(how, ""))})
	p.mortal = true
	return p
}

func (w *world) launch(role string, env []string, args ...string) *process {
	w.t.Helper()
	args = append([]string{role}, args...)
	if role == "edge" {
		args = append(args, "--addr", "127.0.0.1:0")
	}
	p := &process{w: w, role: role, done: make(chan struct{}), cmd: exec.Command(w.bin, args...)}
	p.log = filepath.Join(w.t.TempDir(), "faults")
	p.cmd.Env = append(append(append([]string{}, w.env...), env...), "PARLEY_FAULT_LOG="+p.log)
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // how it ended is read from ProcessState
	}()
	w.t.Cleanup(func() {
		select {
		case <-p.done:
			if !p.mortal {
				w.t.Errorf("%s ended by itself: %s", role, p.cmd.ProcessState)
			}
		default:
		}
		p.kill()
		if w.t.Failed() {
			w.t.Logf("output of %s (%s):\n%s", role, p.cmd.ProcessState, p.said.String())
		}
	})
	p.expect(ready[role])
	if role == "edge" {
		_, rest, _ := strings.Cut(p.said.String(), `"addr":"`)
		addr, _, _ := strings.Cut(rest, `"`)
		w.mu.Lock()
		w.urls = append(w.urls, "http://"+addr)
		w.mu.Unlock()
	}
	return p
}

// expect waits until the process has said something.
func (p *process) expect(text string) {
	p.w.t.Helper()
	if !p.said.Await(p.w.ctx, p.done, 0, text) {
		p.w.t.Fatalf("%s did not say %q: %v", p.role, text, context.Cause(p.w.ctx))
	}
}

// kill is kill -9.
func (p *process) kill() {
	p.mortal = true
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// terminate asks the process to stop and waits until it has.
func (p *process) terminate() {
	p.w.t.Helper()
	p.mortal = true
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-p.w.ctx.Done():
		p.w.t.Fatalf("%s does not stop", p.role)
	}
}

func (p *process) signal(s syscall.Signal) {
	p.w.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.w.t.Fatal(err)
	}
}

// died waits until the process has killed itself at the point.
func (p *process) died(at fault.Point, k int) {
	p.w.t.Helper()
	select {
	case <-p.done:
	case <-p.w.ctx.Done():
		p.w.t.Fatalf("%s never came by %s: %v", p.role, at, context.Cause(p.w.ctx))
	}
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		p.w.t.Fatalf("%s ended by %s, not by kill -9", p.role, p.cmd.ProcessState)
	}
	line, err := os.ReadFile(p.log)
	if want := fmt.Sprintf("%s %d %d\n", at, k, p.cmd.Process.Pid); err != nil || string(line) != want {
		p.w.t.Fatalf("fault log of %s is %q (%v), want %q", p.role, line, err, want)
	}
}

// wake lets a stopped process go on.
func (p *process) wake() {
	p.w.t.Helper()
	p.signal(syscall.SIGCONT)
	p.mortal = false
}

// url returns an edge, the newest at the first try and then the one before.
func (w *world) url(try int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.urls[len(w.urls)-1-try%len(w.urls)]
}

// eventually looks again and again until ok, or until the time is over. It is
// for what other processes write where nothing tells us: rows and queues.
func (w *world) eventually(within time.Duration, ok func() bool) bool {
	end := time.NewTimer(within)
	defer end.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end.C:
			return ok()
		case <-w.ctx.Done():
			return false
		}
	}
	return true
}

// left counts the messages in a stream.
func (w *world) left(stream string) (uint64, error) {
	s, err := w.js.Stream(w.ctx, stream)
	if err != nil {
		return 0, err
	}
	return s.CachedInfo().State.Msgs, nil
}

// messages reads a whole stream.
func (w *world) messages(stream string) (list []*jetstream.RawStreamMsg, err error) {
	s, err := w.js.Stream(w.ctx, stream)
	if err != nil {
		return nil, err
	}
	state := s.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		m, err := s.GetMsg(w.ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// timers returns the ids of what is scheduled.
func (w *world) timers() (map[string]bool, error) {
	list, err := w.messages(events.StreamTimer)
	ids := map[string]bool{}
	for _, m := range list {
		ids[m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]] = true
	}
	return ids, err
}
