package edge

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/readmodel"
)

func TestConversationCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, _ := w.ask("ana", `{"message":"one"}`)
	for _, text := range []string{"two", "three"} {
		w.ask("ana", fmt.Sprintf(`{"message":%q,"conversation_id":%q}`, text, c.ConversationID))
	}
	path := "/api/ana/conversations/" + string(c.ConversationID)
	var s readmodel.Summary
	r := w.do("ana", "PATCH", path, `{"title":"Numbers","pinned":true,"read_n":4}`)
	if r.decode(t, &s); r.status != 200 || s.Title != "Numbers" || !s.Pinned || s.ReadN != 4 || s.N != 9 || s.Status != "idle" {
		t.Errorf("patch: %d %s", r.status, r.body)
	}
	for body, want := range map[string]int{`{}`: 400, `{"title":""}`: 422, `{"title":"` + strings.Repeat("x", 201) + `"}`: 422, `{"pinned":"yes"}`: 400, `{"archived":1}`: 400, `{"read_n":-1}`: 400} {
		if r := w.do("ana", "PATCH", path, body); r.status != want {
			t.Errorf("patch %.30s: %d", body, r.status)
		}
	}

	// Pages of messages add up to all of them, from Postgres or from the log.
	for _, down := range []bool{false, true} {
		w.memory.setDown(down)
		var base events.Conversation
		r = w.do("ana", "GET", path+"/messages?limit=2&min_n=9", "")
		if r.decode(t, &base); r.status != 200 || len(base.Runs) != 2 || base.N != 9 || !base.HasMore || base.Title != "Numbers" {
			t.Errorf("down %v: messages: %d %s", down, r.status, r.body)
			continue
		}
		var older events.Conversation
		r = w.do("ana", "GET", path+"/messages?limit=2&before="+string(base.Runs[0].RunID), "")
		if r.decode(t, &older); len(older.Runs) != 1 || older.Runs[0].Message.Text != "one" || older.HasMore {
			t.Errorf("down %v: before: %d %s", down, r.status, r.body)
		}
		if r = w.do("ana", "GET", path+"/messages?before=nosuchrun", ""); r.status != 404 {
			t.Errorf("down %v: before an unknown run: %d", down, r.status)
		}
		if r = w.do("ana", "GET", path, ""); r.status != 200 || !strings.Contains(string(r.body), "You said: three") {
			t.Errorf("down %v: summary: %d %s", down, r.status, r.body)
		}
		if r = w.do("ana", "GET", "/api/ana/conversations", ""); (r.status == 503) != down {
			t.Errorf("down %v: list: %d", down, r.status)
		}
	}
	w.memory.setDown(false)

	// Commits come in pages, each once.
	var ns []uint64
	for after := uint64(0); ; {
		var page EventsPage
		r := w.do("ana", "GET", fmt.Sprintf("%s/events?limit=4&after=%d", path, after), "")
		r.decode(t, &page)
		for _, raw := range page.Data {
			ns = append(ns, must(events.DecodeCommit(raw)).N)
		}
		if after = page.After; !page.HasMore {
			break
		}
	}
	for i, n := range ns {
		if n != uint64(i+1) {
			t.Fatalf("commits %v", ns)
		}
	}

	if r := w.do("ana", "DELETE", path, ""); r.status != 204 || len(r.body) != 0 {
		t.Errorf("delete: %d %s", r.status, r.body)
	}
	if r := w.do("ana", "DELETE", path, ""); r.status != 204 {
		t.Errorf("delete twice: %d", r.status)
	}
	if again, r := w.ask("ana", `{"message":"one"}`, "Idempotency-Key", string(c.MessageID)); r.status != 200 || again.RunID != c.RunID {
		t.Errorf("an old message of a deleted conversation, repeated: %d %s", r.status, r.body)
	}
	if _, r := w.ask("ana", fmt.Sprintf(`{"message":"x","conversation_id":%q}`, c.ConversationID)); r.status != 409 {
		t.Errorf("message to a deleted conversation: %d", r.status)
	}
	if r := w.do("ana", "POST", path+"/restore", ""); r.status != 200 {
		t.Errorf("restore: %d %s", r.status, r.body)
	}
}

// Without Postgres everything that the log holds is answered.
func TestWithoutPostgres(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.memory.setDown(true)
	c, r := w.ask("ana", `{"message":"one"}`)
	if r.status != 200 {
		t.Fatalf("chat: %d %s", r.status, r.body)
	}
	path := "/api/ana/conversations/" + string(c.ConversationID)
	if r := w.do("ana", "GET", path+"/messages?min_n=2", ""); r.status != 200 || !strings.Contains(string(r.body), "You said: one") {
		t.Errorf("messages: %d %s", r.status, r.body)
	}
	if r := w.do("ana", "GET", path, ""); r.status != 200 || !strings.Contains(string(r.body), "You said: one") {
		t.Errorf("summary: %d %s", r.status, r.body)
	}
	for _, p := range []string{"conversations", "tasks", "tasks/1/history", "runs/" + string(c.RunID)} {
		if r := w.do("ana", "GET", "/api/ana/"+p, ""); r.status != 503 || r.code(t) != codeUnavailable || r.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", p, r.status, r.body)
		}
	}
	r = w.do("", "GET", "/readyz", "")
	var ready Readiness
	if r.decode(t, &ready); r.status != 200 || ready.Checks["postgres"] == "ok" || ready.Checks["nats"] != "ok" {
		t.Errorf("readyz: %d %s", r.status, r.body)
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Page = nil })
	r := w.do("", "GET", "/readyz", "")
	var got Readiness
	r.decode(t, &got)
	want := Readiness{Ready: true, Checks: map[string]string{"nats": "ok", "streams": "ok", "postgres": "ok", "auth": "ok", "page": "not built", "edge": "ok"}}
	if d := cmp.Diff(want, got); r.status != 200 || d != "" {
		t.Errorf("%d %s", r.status, d)
	}
	if r := w.do("", "GET", "/", "", "Accept", "text/html"); r.status != 404 || !strings.Contains(string(r.body), "npm --prefix frontend run build") {
		t.Errorf("page not built: %d %s", r.status, r.body)
	}
	w.server.Stop(t)
	r = w.do("", "GET", "/readyz", "")
	if r.decode(t, &got); r.status != 503 || got.Checks["nats"] == "ok" || got.Checks["streams"] == "ok" {
		t.Errorf("without nats: %d %s", r.status, r.body)
	}
	if r := w.do("", "GET", "/healthz", ""); r.status != 200 {
		t.Errorf("a lost connection is no reason to restart: %d", r.status)
	}
	if _, r := w.ask("ana", `{"message":"x"}`); r.status != 503 || r.code(t) != codeUnavailable {
		t.Errorf("chat: %d %s", r.status, r.body)
	}
	w.nc.Close()
	if r := w.do("", "GET", "/healthz", ""); r.status != 503 {
		t.Errorf("a closed connection never comes back: %d", r.status)
	}
}

// What may have been stored is not called refused: 503 promises that it was not.
func TestUnknownOutcomeIsNoRefusal(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]*apiError{
		fmt.Errorf("enqueue: %w: timeout", eventlog.ErrUnknown): {status: 504, code: codeUnknown},
		fmt.Errorf("enqueue: no responders"):                    {status: 503, code: codeUnavailable},
		fmt.Errorf("enqueue: %w", eventlog.ErrFull):             {status: 503, code: codeUnavailable},
	} {
		if got := storeError(err); got.status != want.status || got.code != want.code || got.retry == 0 {
			t.Errorf("%v: %d %s, retry after %v", err, got.status, got.code, got.retry)
		}
	}
	// Nor is what was stored before and cannot be looked up now.
	w := newWorld(t)
	id := newID()
	send := func() reply {
		return w.do("ana", "POST", "/api/ana/chat", `{"message":"x","id":"`+id+`"}`, "Prefer", "respond-async")
	}
	if r := send(); r.status != 202 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	js, err := jetstream.New(w.server.Connect(t))
	if err == nil {
		err = js.DeleteStream(testkit.Context(t), events.StreamLog)
	}
	if err != nil {
		t.Fatal(err)
	}
	if r := send(); r.status != 504 || r.code(t) != codeUnknown {
		t.Errorf("a message that was stored: %d %s", r.status, r.body)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	chat := "/api/ana/chat"
	long := strings.Repeat("é", events.MaxMessageRunes)
	before := w.written()
	for _, c := range []struct {
		name, user, method, path, body string
		headers                        []string
		status                         int
		code                           string
	}{
		{"no token", "", "POST", chat, `{"message":"x"}`, nil, 401, codeUnauth},
		{"another's path", "bob", "POST", chat, `{"message":"x"}`, nil, 403, codeForbidden},
		{"route word as person", "ana", "POST", "/api/dev/chat", `{"message":"x"}`, nil, 404, codeNotFound},
		{"encoded id", "ana", "POST", "/api/%61na/chat", `{"message":"x"}`, nil, 404, codeNotFound},
		{"origin", "ana", "POST", chat, `{"message":"x"}`, []string{"Origin", "https://evil.example"}, 403, codeOrigin},
		{"content type", "ana", "POST", chat, `{"message":"x"}`, []string{"Content-Type", "text/plain"}, 415, codeUnsupported},
		{"charset", "ana", "POST", chat, `{"message":"x"}`, []string{"Content-Type", "application/json; charset=latin1"}, 415, codeUnsupported},
		{"content encoding", "ana", "POST", chat, `{"message":"x"}`, []string{"Content-Encoding", "gzip"}, 415, codeUnsupported},
		{"too large", "ana", "POST", chat, `{"message":"` + strings.Repeat("a", maxBody) + `"}`, nil, 413, codeTooLarge},
		{"duplicate name", "ana", "POST", chat, `{"message":"a","message":"b"}`, nil, 400, codeInvalidJSON},
		{"deep", "ana", "POST", chat, `{"message":"a","x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, nil, 400, codeInvalidJSON},
		{"bad UTF-8", "ana", "POST", chat, "{\"message\":\"\xff\"}", nil, 400, codeInvalidJSON},
		{"lone surrogate", "ana", "POST", chat, `{"message":"\ud800"}`, nil, 400, codeInvalidJSON},
		{"null", "ana", "POST", chat, `null`, nil, 400, codeInvalidJSON},
		{"missing message", "ana", "POST", chat, `{}`, nil, 422, codeInvalidMessage},
		{"blank message", "ana", "POST", chat, `{"message":" \n\u2003"}`, nil, 422, codeInvalidMessage},
		{"NUL", "ana", "POST", chat, `{"message":"a\u0000"}`, nil, 422, codeInvalidMessage},
		{"one character too many", "ana", "POST", chat, `{"message":"` + long + `!"}`, nil, 422, codeInvalidMessage},
		{"model", "ana", "POST", chat, `{"message":"x","model":"other"}`, nil, 422, codeInvalidMessage},
		{"timezone", "ana", "POST", chat, `{"message":"x","timezone":"../etc/passwd"}`, nil, 422, codeInvalidMessage},
		{"local timezone", "ana", "POST", chat, `{"message":"x","timezone":"Local"}`, nil, 422, codeInvalidMessage},
		{"id", "ana", "POST", chat, `{"message":"x","id":"a.b"}`, nil, 400, codeBadRequest},
		{"id and key differ", "ana", "POST", chat, `{"message":"x","id":"a"}`, []string{"Idempotency-Key", "b"}, 400, codeBadRequest},
		{"empty key", "ana", "POST", chat, `{"message":"x"}`, []string{"Idempotency-Key", ""}, 400, codeBadRequest},
		{"conversation id", "ana", "POST", chat, `{"message":"x","conversation_id":"a>"}`, nil, 400, codeBadRequest},
		{"unknown conversation", "ana", "POST", chat, `{"message":"x","conversation_id":"nosuch"}`, nil, 404, codeNotFound},
		{"home is no conversation to talk in", "ana", "POST", chat, `{"message":"x","conversation_id":"home"}`, nil, 404, codeNotFound},
		{"accept", "ana", "POST", chat, `{"message":"x"}`, []string{"Accept", "image/png"}, 406, codeNotAcceptable},
		{"tool", "ana", "POST", "/api/ana/tool_calls", `{"name":"rm"}`, nil, 422, codeUnknownTool},
		{"tool arguments", "ana", "POST", "/api/ana/tool_calls", `{"name":"add_task","arguments":[]}`, nil, 400, codeBadRequest},
		{"tool NUL", "ana", "POST", "/api/ana/tool_calls", `{"name":"add_task","arguments":{"title":"\\\u0000"}}`, nil, 400, codeBadRequest},
		{"archived", "ana", "GET", "/api/ana/conversations?archived=perhaps", "", nil, 400, codeBadRequest},
		{"limit", "ana", "GET", "/api/ana/conversations?limit=0", "", nil, 400, codeBadRequest},
		{"cursor", "ana", "GET", "/api/ana/conversations?after=xyz", "", nil, 400, codeBadRequest},
		{"task status", "ana", "GET", "/api/ana/tasks?status=gone", "", nil, 400, codeBadRequest},
		{"as of", "ana", "GET", "/api/ana/tasks?as_of=-1", "", nil, 400, codeBadRequest},
		{"changes since", "ana", "GET", "/api/ana/tasks/history?since=yesterday", "", nil, 400, codeBadRequest},
		{"changes after", "ana", "GET", "/api/ana/tasks/history?after=x", "", nil, 400, codeBadRequest},
		{"changes of somebody else", "bob", "GET", "/api/ana/tasks/history", "", nil, 403, codeForbidden},
		{"task id", "ana", "GET", "/api/ana/tasks/+1/history", "", nil, 404, codeNotFound},
		{"unknown task", "ana", "GET", "/api/ana/tasks/7/history", "", nil, 404, codeNotFound},
		{"unknown call", "ana", "GET", "/api/ana/nope", "", nil, 404, codeNotFound},
		{"method", "ana", "PUT", chat, "", nil, 405, codeMethod},
		{"api root", "ana", "GET", "/api", "", []string{"Accept", "text/html"}, 404, codeNotFound},
		{"metrics are elsewhere", "ana", "GET", "/metrics", "", nil, 404, codeNotFound},
	} {
		r := w.do(c.user, c.method, c.path, c.body, c.headers...)
		if r.status != c.status || r.code(t) != c.code {
			t.Errorf("%s: %d %s", c.name, r.status, r.body)
		}
		if c.status == 401 && r.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no challenge", c.name)
		}
		if c.status == 405 && r.header.Get("Allow") != "POST, OPTIONS" {
			t.Errorf("%s: Allow %q", c.name, r.header.Get("Allow"))
		}
		for _, h := range []string{"X-Content-Type-Options", "Referrer-Policy", "X-Request-Id", "Content-Security-Policy"} {
			if r.header.Get(h) == "" {
				t.Errorf("%s: no %s", c.name, h)
			}
		}
	}
	if after := w.written(); after != before {
		t.Errorf("refused requests were stored: %s, before %s", after, before)
	}
	next := w.commands()
	if _, r := w.ask("ana", `{"message":"`+long+`"}`); r.status != 200 {
		t.Errorf("message at the limit: %d", r.status)
	}
	// Nor were they late: this is the first.
	if m, ok := next().(events.Message); !ok || m.Text != long {
		t.Errorf("stored before the message: %+v", m)
	}
	for _, secret := range []string{"éé", "evil.example", w.token("ana")[:40]} {
		if strings.Contains(w.logs.String(), secret) {
			t.Errorf("the log repeats %.20q", secret)
		}
	}
}

// A token that has run out is told from one that is wrong: the page then asks for
// another sign-in and keeps what was typed.
func TestExpiredToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	w.setClock(now)
	header := []string{"Authorization", "Bearer " + w.token("ana")}
	if r := w.do("", "GET", "/api/ana/conversations", "", header...); r.status != 200 {
		t.Fatalf("while it holds: %d %s", r.status, r.body)
	}
	before := w.written()
	w.setClock(now.Add(time.Hour))
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/api/ana/conversations", ""},
		{"GET", "/api/ana/conversations/c1/events", ""},
		{"POST", "/api/ana/chat", `{"message":"x"}`},
		{"POST", "/api/ana/tool_calls", `{"name":"add_task","arguments":{"title":"x"}}`},
	} {
		r := w.do("", c.method, c.path, c.body, header...)
		if r.status != 401 || r.code(t) != codeTokenExpired || !strings.Contains(r.header.Get("WWW-Authenticate"), "invalid_token") {
			t.Errorf("%s %s: %d %q %s", c.method, c.path, r.status, r.header.Get("WWW-Authenticate"), r.body)
		}
	}
	if after := w.written(); after != before {
		t.Errorf("stored with a token that has run out: %s, before %s", after, before)
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.do("", "OPTIONS", "/api/ana/chat", "", "Origin", testOrigin, "Access-Control-Request-Method", "POST")
	if r.status != 204 || r.header.Get("Access-Control-Allow-Origin") != testOrigin || r.header.Get("Vary") != "Origin" ||
		r.header.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(r.header.Get("Access-Control-Allow-Headers"), "Idempotency-Key") {
		t.Errorf("preflight: %d %v", r.status, r.header)
	}
	r = w.do("", "POST", "/api/ana/chat", `{"message":"x"}`, "Origin", testOrigin)
	if r.status != 401 || r.header.Get("Access-Control-Allow-Origin") != testOrigin {
		t.Errorf("an error has no CORS headers: %d %v", r.status, r.header)
	}
	r = w.do("", "POST", "/api/ana/chat", `{"message":"x"}`, "Sec-Fetch-Site", "cross-site")
	if r.status != 403 {
		t.Errorf("cross-site without an origin: %d", r.status)
	}
	r = w.do("", "GET", "/", "", "Sec-Fetch-Site", "cross-site", "Accept", "text/html")
	if r.status != 200 {
		t.Errorf("a link to the page: %d", r.status)
	}
	r = w.do("", "OPTIONS", "/api/ana/chat", "")
	if r.status != 204 || r.header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf("OPTIONS: %d %v", r.status, r.header)
	}
}

func TestDevTokenAndConfig(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var config Config
	r := w.do("", "GET", "/api/config", "")
	if r.decode(t, &config); config.Auth.Mode != "dev" || config.Model.Label != "scripted" || config.Limits.MessageChars != 8000 || config.ServerVersion != "test" {
		t.Errorf("config %s", r.body)
	}
	r = w.do("", "POST", "/api/dev/token", `{"user_id":"cleo"}`)
	var token struct{ Token string }
	if err := json.Unmarshal(r.body, &token, json.MatchCaseInsensitiveNames(true)); err != nil || r.status != 200 {
		t.Fatalf("token: %d %s", r.status, r.body)
	}
	if got := w.do("", "GET", "/api/cleo/conversations", "", "Authorization", "Bearer "+token.Token); got.status != 200 || string(got.body) != `{"data":[],"has_more":false}` {
		t.Errorf("with the token: %d %s", got.status, got.body)
	}
	for body, want := range map[string]int{`{"user_id":"a b"}`: 422, `{"user_id":"dev"}`: 422, `{}`: 400} {
		if r := w.do("", "POST", "/api/dev/token", body); r.status != want || r.code(t) == "" {
			t.Errorf("%s: %d %s", body, r.status, r.body)
		}
	}
	if r := w.do("", "POST", "/api/dev/token", `{"user_id":"cleo"}`, "Origin", "https://evil.example"); r.status != 403 || r.code(t) != codeOrigin {
		t.Errorf("from elsewhere: %d %s", r.status, r.body)
	}
	if r := w.do("", "GET", "/.well-known/jwks.json", ""); r.status != 200 || !strings.Contains(string(r.body), `"crv":"Ed25519"`) {
		t.Errorf("jwks: %d %s", r.status, r.body)
	}
	grown := newWorld(t, func(o *Options) { o.DevIssuer = nil })
	for _, path := range []string{"/api/dev/token", "/.well-known/jwks.json"} {
		method := "POST"
		if strings.HasPrefix(path, "/.") {
			method = "GET"
		}
		if r := grown.do("", method, path, ""); r.status != 404 {
			t.Errorf("%s without the dev issuer: %d", path, r.status)
		}
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	process := prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_process_things_total", Help: "Of the process."})
	w := newWorld(t, func(o *Options) { o.Collectors = []prometheus.Collector{process} })
	w.ask("ana", `{"message":"hello"}`)
	w.do("", "FROBNICATE", "/api/ana/chat", "")
	k := &world{t: t, issuer: w.issuer}
	k.url = "http://" + w.edge.AdminAddr().String()
	wanted := []string{
		`parley_edge_requests_total{method="POST",route="/api/{user}/chat",status="200"} 1`,
		`parley_edge_requests_total{method="other",route="none",status="405"} 1`,
		`parley_edge_first_delta_seconds_count 0`, `parley_edge_publish_seconds_count 1`, "go_goroutines", `parley_edge_info{version="test"} 1`,
		"parley_process_things_total 0",
	}
	// A request is counted when it is over, which its client may know before.
	for ctx := testkit.Context(t); len(wanted) > 0; {
		r := k.do("", "GET", "/metrics", "")
		wanted = slices.DeleteFunc(wanted, func(line string) bool { return strings.Contains(string(r.body), line) })
		if ctx.Err() != nil {
			t.Fatalf("metrics lack %q:\n%s", wanted, r.body)
		}
	}
	if r := k.do("", "GET", "/debug/pprof/goroutine?debug=1", ""); r.status != 200 {
		t.Errorf("pprof: %d", r.status)
	}
	if r := w.do("", "GET", "/debug/pprof/", ""); r.status != 404 {
		t.Errorf("pprof where people are: %d", r.status)
	}
}

func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.edge.router.Get("/api/boom", func(http.ResponseWriter, *http.Request) { panic("secret detail") })
	w.edge.router.Get("/api/late", func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = rw.Write(make([]byte, 64<<10))
		panic("late")
	})
	r := w.do("", "GET", "/api/boom", "")
	if r.status != 500 || r.code(t) != codeInternal || strings.Contains(string(r.body), "secret") {
		t.Errorf("%d %s", r.status, r.body)
	}
	req, err := http.NewRequestWithContext(bounded(t), "GET", w.url+"/api/late", nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := testClient.Do(req); err == nil {
		defer res.Body.Close()
		if _, err := io.ReadAll(res.Body); err == nil {
			t.Error("an answer that was cut short looks whole")
		}
	}
}

// Open calls of an edge that drains end with where to ask for the rest, sockets
// with "restart", and the run goes on elsewhere.
func TestDrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w2 := w.another()
	release := make(chan struct{})
	w.agent.hold = func(string) <-chan struct{} { return release }
	socket := w.connect("ana")
	held := make(chan reply, 1)
	go func() {
		_, r := w.ask("ana", `{"message":"hold on"}`)
		held <- r
	}()
	f := socket.untilFrame("the run", func(f serverFrame) bool { return f.Type == "conversation" && f.Status == "in_progress" })
	stream := w.send(bounded(t), "ana", "GET", "/api/ana/conversations/"+string(f.ConversationID)+"/events", "", "Accept", "text/event-stream")
	defer stream.Body.Close()
	w.stop()
	r := <-held
	if r.status != 202 || r.header.Get("Location") == "" {
		t.Fatalf("open call: %d %s", r.status, r.body)
	}
	if code := socket.untilClosed(); code != 1012 {
		t.Errorf("socket: %d", code)
	}
	if last := socket.frames[len(socket.frames)-1]; last.Code != codeDraining {
		t.Errorf("socket was told %s", last.raw)
	}
	if _, datas := readSSE(t, stream, func(string, string) bool { return false }); !strings.Contains(datas[len(datas)-1], codeDraining) {
		t.Errorf("stream ended with %q", datas[len(datas)-1])
	}
	close(release)
	reader := w2.connect("ana")
	reader.follow(f.ConversationID)
	reader.untilEnd(reader.conv.Tip().RunID)
	if r := w2.do("ana", "GET", r.header.Get("Location"), ""); r.status != 200 || !strings.Contains(string(r.body), "You said: hold on") {
		t.Errorf("location on another edge: %d %s", r.status, r.body)
	}
}

// A stopping edge says so for a while, to new requests as well, before it closes
// its address: nobody who was on the way is cut off without a word.
func TestLinger(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Linger = 2 * time.Second })
	early, err := new(net.Dialer).DialContext(t.Context(), "tcp", w.edge.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	socket := w.connect("ana")
	stopped := make(chan struct{})
	go func() { defer close(stopped); w.stop() }()
	if code := socket.untilClosed(); code != 1012 {
		t.Errorf("socket: %d", code)
	}
	if r := w.do("", "GET", "/readyz", ""); r.status != 503 || !strings.Contains(string(r.body), `"stopping"`) {
		t.Errorf("readyz: %d %s", r.status, r.body)
	}
	// Read to its end: the connection is not kept for another request either.
	fmt.Fprintf(early, "POST /api/ana/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	b, err := io.ReadAll(early)
	if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 503 ") || !strings.Contains(string(b), codeDraining) || !strings.Contains(string(b), "Retry-After: 1\r\n") {
		t.Errorf("who was on the way is told %q, %v", b, err)
	}
	<-stopped
}

func TestAcceptHeader(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string][2]bool{
		"": {true, false}, "*/*": {true, false}, "text/event-stream": {true, true}, "text/*;q=0.3": {true, false},
		"application/json": {false, false}, "text/event-stream;q=0": {false, false}, "TEXT/EVENT-STREAM; q=1, */*": {true, true}, ";;": {false, false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		if ok, named := accepts(r, "text/event-stream"); ok != want[0] || named != want[1] {
			t.Errorf("Accept %q: %v %v", accept, ok, named)
		}
	}
}

func TestFreshIDs(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_800_000_000_000)
	at := func(d time.Duration) string {
		ms := now.Add(d).UnixMilli()
		return fmt.Sprintf("%08x-%04x-7000-8000-000000000001", ms>>16, ms&0xffff)
	}
	for id, want := range map[string]bool{
		at(0): true, at(-3 * time.Minute): true, at(-5 * time.Minute): false, at(20 * time.Second): true, at(time.Minute): false,
		"f47ac10b-58cc-4372-a567-0e02b2c3d479": false, "hello": false, "": false,
	} {
		if got := fresh(id, now); got != want {
			t.Errorf("fresh(%q) = %v", id, got)
		}
	}
}
