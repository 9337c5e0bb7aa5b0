package edge

import (
	"context"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/parleychat/parley/events"
)

func validUTF8(s string) bool { return utf8.ValidString(s) }

// Config is what a client must know before it signs in.
type Config struct {
	ServerVersion string     `json:"server_version"`
	Auth          ConfigAuth `json:"auth"`
	Model         Model      `json:"model"`
	Limits        limits     `json:"limits"`
}

// ConfigAuth says how to sign in: "dev" asks POST /api/dev/token, "jwt" an issuer.
type ConfigAuth struct {
	Mode string `json:"mode"`
}

func (e *Edge) answer200(w http.ResponseWriter, r *http.Request, v any) {
	c := &call{e: e, w: w, r: r}
	if err := c.json(http.StatusOK, v); err != nil {
		e.fail(w, r, err)
	}
}

func (e *Edge) config(w http.ResponseWriter, r *http.Request) {
	mode := "jwt"
	if e.o.DevIssuer != nil {
		mode = "dev"
	}
	e.answer200(w, r, Config{
		ServerVersion: e.o.ServerVersion, Auth: ConfigAuth{mode}, Model: e.o.Model, Limits: limits{events.MaxMessageRunes},
	})
}

func (e *Edge) devToken(w http.ResponseWriter, r *http.Request) {
	if e.o.DevIssuer == nil {
		e.fail(w, r, notFound("page"))
		return
	}
	token, err := e.o.DevIssuer.TokenFor(w, r)
	if err != nil {
		e.fail(w, r, err)
		return
	}
	e.answer200(w, r, token)
}

func (e *Edge) jwks(w http.ResponseWriter, r *http.Request) {
	if e.o.DevIssuer == nil {
		e.fail(w, r, notFound("page"))
		return
	}
	e.o.DevIssuer.JWKSHandler().ServeHTTP(w, r)
}

func (e *Edge) serveOpenAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(e.openapi)
}

// healthz says whether the process is worth keeping: a closed NATS connection
// never comes back, and only a restart helps.
func (e *Edge) healthz(w http.ResponseWriter, r *http.Request) {
	if e.hub.nc.IsClosed() {
		e.fail(w, r, unavailable("The event log", nats.ErrConnectionClosed))
		return
	}
	e.answer200(w, r, map[string]string{"status": "ok"})
}

// Readiness says what an edge has and lacks.
type Readiness struct {
	Ready bool `json:"ready"`
	// Checks are by name "ok" or what is missing. The page and Postgres are
	// wanted, not needed: without them the edge still answers.
	Checks map[string]string `json:"checks"`
}

const readyWait = 2 * time.Second

// readyz says whether requests should come here, and what is missing.
func (e *Edge) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyWait)
	defer cancel()
	probes := []struct {
		name   string
		needed bool
		probe  func(context.Context) string
	}{
		{"nats", true, e.probeNATS},
		{"streams", true, e.probeStreams},
		{"postgres", false, e.probePostgres},
		{"auth", true, e.probeAuth},
		{"page", false, e.probePage},
		{"edge", true, e.probeSelf},
	}
	out := Readiness{Ready: true, Checks: map[string]string{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, p := range probes {
		wg.Go(func() {
			state := p.probe(ctx)
			mu.Lock()
			defer mu.Unlock()
			if out.Checks[p.name] = state; state != "ok" && p.needed {
				out.Ready = false
			}
		})
	}
	wg.Wait()
	status := http.StatusOK
	if !out.Ready {
		status = http.StatusServiceUnavailable
	}
	if err := (&call{e: e, w: w, r: r}).json(status, out); err != nil {
		e.fail(w, r, err)
	}
}

func (e *Edge) probeNATS(context.Context) string {
	if s := e.hub.nc.Status(); s != nats.CONNECTED {
		return "not connected"
	}
	return "ok"
}

func (e *Edge) probeStreams(ctx context.Context) string {
	for _, stream := range []string{events.StreamInbox, events.StreamLog} {
		m, err := e.hub.nc.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+stream, []byte(`{"seq":1}`))
		if err != nil || m.Header.Get("Status") == "503" {
			return stream + " does not answer (run parley provision)"
		}
	}
	return "ok"
}

func (e *Edge) probePostgres(ctx context.Context) string {
	if err := e.o.Queries.Ping(ctx); err != nil {
		e.o.Logger.Debug("postgres ping", "err", err)
		return "does not answer"
	}
	return "ok"
}

func (e *Edge) probeAuth(context.Context) string {
	if err := e.o.Verifier.Ready(); err != nil {
		return "the issuer's keys are not known yet"
	}
	return "ok"
}

func (e *Edge) probePage(context.Context) string {
	if !e.page.built() {
		return "not built"
	}
	return "ok"
}

func (e *Edge) probeSelf(context.Context) string {
	if e.stopping.Load() {
		return "stopping"
	}
	return "ok"
}
