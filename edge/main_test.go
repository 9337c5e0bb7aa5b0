package edge

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/auth"
	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const testOrigin = "http://localhost:5173"

// A world is an edge with everything around it: NATS, an agent that does as it
// is told, a recorder's memory, and an issuer.
type world struct {
	t       testing.TB
	server  *testkit.NATSServer
	nc      *nats.Conn // the edge's
	log     *eventlog.Log
	agent   *agent
	memory  *memory
	issuer  *auth.DevIssuer
	origins *auth.Origins
	now     atomic.Pointer[time.Time] // nil: the wall's
	logs    *syncBuffer
	edge    *Edge
	url     string
	stop    func() // drains the edge and waits
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var testPage = fstest.MapFS{
	"index.html":             {Data: []byte(`<!doctype html><html lang="en" data-theme="system"><title>Parley</title></html>`)},
	"favicon.svg":            {Data: []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`)},
	"assets/app-1a2b.js":     {Data: []byte("console.log('plain')")},
	"assets/app-1a2b.js.br":  {Data: []byte("brotli bytes")},
	"assets/app-1a2b.js.gz":  {Data: []byte("gzip bytes")},
	"assets/only-3c4d.css":   {Data: []byte("body{}")},
	"assets/secret-file.exe": {Data: []byte("no")},
}

// newWorld starts a world; change may alter the edge's options.
func newWorld(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, server: testkit.StartNATS(t), logs: &syncBuffer{}}
	ctx := testkit.Context(t)
	if err := eventlog.Provision(ctx, w.server.Connect(t), eventlog.Layout{}); err != nil {
		t.Fatal(err)
	}
	w.nc = w.server.Connect(t, nats.ReconnectBufSize(-1))
	w.log = openLog(t, w.nc)
	w.memory = newMemory(t, w.server.Connect(t))
	w.agent = newAgent(t, openLog(t, w.server.Connect(t)))
	w.startEdge(change...)
	return w
}

func openLog(t testing.TB, nc *nats.Conn) *eventlog.Log {
	t.Helper()
	l, err := eventlog.Open(testkit.Context(t), nc, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// another starts a second edge on the same NATS and issuer.
func (w *world) another() *world {
	w.t.Helper()
	k := &world{t: w.t, server: w.server, agent: w.agent, memory: w.memory, issuer: w.issuer, origins: w.origins, logs: w.logs}
	k.nc = w.server.Connect(w.t, nats.ReconnectBufSize(-1))
	k.log = openLog(w.t, k.nc)
	k.startEdge()
	return k
}

func (w *world) startEdge(change ...func(*Options)) {
	t := w.t
	t.Helper()
	var err error
	if w.issuer == nil {
		if w.origins, err = auth.NewOrigins(auth.OriginsOptions{Entries: []string{testOrigin}, LoopbackHTTP: true}); err != nil {
			t.Fatal(err)
		}
		if w.issuer, err = auth.NewDevIssuer(auth.DevOptions{Dir: t.TempDir(), Origins: w.origins, Clock: w.clock}); err != nil {
			t.Fatal(err)
		}
	}
	verifier, err := w.issuer.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		AdminAddr: "127.0.0.1:0", Log: w.log, Queries: w.memory, Verifier: verifier, DevIssuer: w.issuer, Origins: w.origins, Page: testPage,
		Model: Model{Name: "scripted", Demo: true}, ServerVersion: "test", Grace: 5 * time.Second,
		Tools:  []events.Tool{{Server: "tasks", Name: "add_task"}, {Server: "tasks", Name: "restore_task", PeopleOnly: true}},
		Logger: slog.New(slog.NewJSONHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Clock:  w.clock,
	}
	for _, c := range change {
		c(&o)
	}
	if w.edge, err = New(o); err != nil {
		t.Fatal(err)
	}
	w.url = "http://" + w.edge.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.edge.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(w.stop)
}

// setClock stops the edge's and the issuer's clock at a time.
func (w *world) setClock(at time.Time) { w.now.Store(&at) }

func (w *world) clock() time.Time {
	if at := w.now.Load(); at != nil {
		return *at
	}
	return time.Now()
}

func (w *world) token(user string) string {
	w.t.Helper()
	token, _, err := w.issuer.Issue(user)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// commands hears what is stored in the inbox from now on; next waits for the next.
func (w *world) commands() (next func() events.Command) {
	w.t.Helper()
	ctx := testkit.Context(w.t)
	nc := w.server.Connect(w.t)
	sub, err := nc.SubscribeSync("in.>")
	if err == nil {
		err = nc.FlushWithContext(ctx)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return func() events.Command {
		w.t.Helper()
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			w.t.Fatalf("nothing was stored: %v", err)
		}
		return must(events.DecodeInbox(m.Data)).Command
	}
}

// written tells how much was ever stored in the streams that people and their
// answers change: what is refused leaves it as it was.
func (w *world) written() string {
	w.t.Helper()
	ctx := testkit.Context(w.t)
	js := must(jetstream.New(w.nc))
	var b strings.Builder
	for _, name := range []string{events.StreamInbox, events.StreamLog, events.StreamWork, events.StreamTimer} {
		s, err := js.Stream(ctx, name)
		if err != nil {
			w.t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %d ", name, s.CachedInfo().State.LastSeq)
	}
	return b.String()
}

// A reply is an HTTP answer read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) decode(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatalf("answer %d %q: %v", r.status, r.body, err)
	}
}

func (r reply) code(t testing.TB) string {
	t.Helper()
	var b errorBody
	r.decode(t, &b)
	if b.Error.Code == "" || b.Error.Message == "" || b.Error.RequestID == "" || b.Error.RequestID != r.header.Get("X-Request-Id") {
		t.Errorf("error %d is not in the one form: %s", r.status, r.body)
	}
	return b.Error.Code
}

// do sends a request as user ("" for nobody) and reads the answer. Headers are
// name, value, name, value.
func (w *world) do(user, method, path, body string, headers ...string) reply {
	w.t.Helper()
	return read2(w.t, w.send(testkit.Context(w.t), user, method, path, body, headers...))
}

func (w *world) send(ctx context.Context, user, method, path, body string, headers ...string) *http.Response {
	w.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if user != "" {
		r.Header.Set("Authorization", "Bearer "+w.token(user))
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := testClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

// testClient keeps no connections, so that none outlives its test.
var testClient = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func read2(t testing.TB, res *http.Response) reply {
	t.Helper()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, b}
}

// ask sends a chat message and waits for the answer.
func (w *world) ask(user, body string, headers ...string) (ChatResponse, reply) {
	w.t.Helper()
	r := w.do(user, "POST", "/api/"+user+"/chat", body, headers...)
	var c ChatResponse
	if r.status == http.StatusOK {
		r.decode(w.t, &c)
	}
	return c, r
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ref(user string, c events.ConversationID) events.Ref {
	return must(events.NewRef(events.UserID(user), c))
}
