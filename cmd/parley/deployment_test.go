package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parleychat/parley/auth"
	"github.com/parleychat/parley/internal/testkit"
)

// product returns the binary that people run: PARLEY_BIN, or one built for this
// test. The test binary would do as well, but with the race detector hundreds
// of streams through nine processes measure that and nothing else.
func product(t testing.TB) string {
	t.Helper()
	if bin := os.Getenv("PARLEY_BIN"); bin != "" {
		return bin
	}
	bin := filepath.Join(t.TempDir(), "parley")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build parley: %v\n%s", err, out)
	}
	return bin
}

// A deployment is every role as processes of its own, on servers that they
// reach by URL, and the list of edges that a load balancer would have.
type deployment struct {
	t      testing.TB
	bin    string
	env    []string
	issuer *auth.DevIssuer
	http   *http.Client

	mu    sync.Mutex
	edges []string // base URLs, in the order in which they came
	next  int
}

// deploy provisions the servers and starts nothing yet. more are settings of
// every process.
func deploy(ctx context.Context, t testing.TB, natsURL string, db testkit.Database, modelURL string, provision ...string) *deployment {
	t.Helper()
	issuer, err := auth.NewDevIssuer(auth.DevOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	jwks := httptest.NewServer(issuer.JWKSHandler())
	t.Cleanup(jwks.Close)
	d := &deployment{t: t, bin: product(t), issuer: issuer, env: []string{
		"PARLEY_NATS_URL=" + natsURL, "PARLEY_DATABASE_URL=" + db.AppURL, "PARLEY_DATABASE_DIRECT_URL=" + db.OwnerURL,
		"OPENAI_BASE_URL=" + modelURL, "OPENAI_MODEL=scripted", "PARLEY_LOG_FORMAT=json",
		"PARLEY_AUTH_JWKS_URL=" + jwks.URL, "PARLEY_AUTH_ISSUER=" + auth.DevIssuerName, "PARLEY_AUTH_AUDIENCE=" + auth.DevAudience,
	}}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	d.http = &http.Client{Transport: transport}
	d.run(ctx, append([]string{"provision"}, provision...)...)
	return d
}

// run waits for a command that ends by itself, and returns what it said.
func (d *deployment) run(ctx context.Context, args ...string) string {
	d.t.Helper()
	p := spawn(d.t, d.bin, d.env, args...)
	d.wait(ctx, p, exitDone)
	return p.output()
}

// wait waits for the end of a process.
func (d *deployment) wait(ctx context.Context, p *process, code int) {
	d.t.Helper()
	select {
	case <-p.done:
	case <-ctx.Done():
		d.t.Fatalf("%v did not end", p.cmd.Args[1:])
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		d.t.Errorf("%v ended with code %d, want %d: %s", p.cmd.Args[1:], got, code, p.output())
	}
}

// ready is what each role says when it has begun.
var ready = map[string]string{
	"edge": `"addr":"127.0.0.1:`, "agentworker": "agentworker started", "toolworker": "toolworker started", "recorder": `"recording"`,
}

// start starts a role and waits until it has begun. An edge gets requests from then on.
func (d *deployment) start(ctx context.Context, role string, args ...string) *process {
	d.t.Helper()
	p := d.begin(role, args...)
	p.expect(ctx, ready[role])
	if role == "edge" {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.edges = append(d.edges, "http://"+addrOf(p))
	}
	return p
}

// begin is start without waiting.
func (d *deployment) begin(role string, args ...string) *process {
	d.t.Helper()
	if role == "edge" {
		args = append(args, "--addr", "127.0.0.1:0")
	}
	return spawn(d.t, d.bin, d.env, append([]string{role}, args...)...)
}

// term sends the stop signal of service managers.
func (d *deployment) term(p *process) {
	d.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Errorf("%v: %v", p.cmd.Args[1:], err)
	}
}

// probe asks a stopping edge whether it is ready, as a load balancer does, and
// takes it off the list when it says no.
func (d *deployment) probe(ctx context.Context, p *process) {
	d.t.Helper()
	url := "http://" + addrOf(p)
	every := time.NewTicker(50 * time.Millisecond)
	defer every.Stop()
	for code := http.StatusOK; code == http.StatusOK; {
		select {
		case <-every.C:
		case <-ctx.Done():
			d.t.Fatalf("%s stays ready", url)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
		if err != nil {
			d.t.Fatal(err)
		}
		res, err := d.http.Do(req)
		if err != nil {
			d.t.Errorf("a stopping edge does not say so: %v", err)
			break
		}
		code = res.StatusCode
		_ = res.Body.Close() // only the status counts
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.edges = slices.DeleteFunc(d.edges, func(e string) bool { return e == url })
}

// edge returns the base URL of an edge, in turn, and not the one that has just
// sent the client away.
func (d *deployment) edge(not string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for range d.edges {
		d.next++
		if url := d.edges[d.next%len(d.edges)]; url != not || len(d.edges) == 1 {
			return url
		}
	}
	d.t.Error("there is no edge")
	return not
}

// token returns a person's token.
func (d *deployment) token(user string) string {
	d.t.Helper()
	token, _, err := d.issuer.Issue(user)
	if err != nil {
		d.t.Fatal(err)
	}
	return token
}

// words is an answer of n pieces that tells any two places in it apart.
func words(key string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = key + "." + strings.Repeat("·", i%3) + string(rune('a'+i%26)) + " "
		if i%10 == 0 {
			list[i] = key + "-" + time.Duration(i).String() + " "
		}
	}
	return list
}

// paced gives a value every interval until fast is closed or ctx ends; from
// then on it never keeps anybody waiting.
func paced(ctx context.Context, every time.Duration, fast <-chan struct{}) <-chan struct{} {
	gate := make(chan struct{})
	go func() {
		defer close(gate)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-fast:
				return
			case <-ctx.Done():
				return
			}
			select {
			case gate <- struct{}{}:
			case <-fast:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	return gate
}

// said is what the person said last in a request to the model. A title is asked
// for without tools, and so tells nothing.
func said(req testkit.ModelRequest) (text string, title bool) {
	if len(req.Tools) == 0 {
		return "", true
	}
	for _, m := range req.Messages {
		if m.Role == "user" {
			text = m.Content
		}
	}
	return text, false
}
