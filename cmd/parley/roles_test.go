package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/parleychat/parley/auth"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/demomodel"
	"github.com/parleychat/parley/internal/testkit"
)

// Two edges, two agentworkers, two toolworkers and a recorder, each a process
// of its own, on a NATS and a Postgres that they reach by URL.
func TestRolesApart(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	db, nats := testkit.Postgres(t), testkit.StartNATS(t)
	issuer, err := auth.NewDevIssuer(auth.DevOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	jwks := httptest.NewServer(issuer.JWKSHandler())
	t.Cleanup(jwks.Close)
	model := httptest.NewServer(demomodel.New(demomodel.Options{}))
	t.Cleanup(model.Close)
	servers := []string{
		"PARLEY_NATS_URL=" + nats.URL(), "PARLEY_DATABASE_URL=" + db.AppURL, "PARLEY_DATABASE_DIRECT_URL=" + db.OwnerURL,
		"OPENAI_BASE_URL=" + model.URL + "/v1", "OPENAI_MODEL=demo",
		"PARLEY_AUTH_JWKS_URL=" + jwks.URL, "PARLEY_AUTH_ISSUER=" + auth.DevIssuerName, "PARLEY_AUTH_AUDIENCE=" + auth.DevAudience,
	}
	for range 2 { // the second time it finds everything there
		p := parley(t, servers, "provision")
		<-p.done
		if p.cmd.ProcessState.ExitCode() != exitDone {
			t.Fatalf("provision: %s", p.output())
		}
	}
	var urls []string
	for range 2 {
		agent := parley(t, servers, "agentworker", "--admin-addr", "127.0.0.1:0")
		agent.expect(ctx, "agentworker started")
		agent.expect(ctx, `"addr":"127.0.0.1:`)
		check := parley(t, nil, "healthcheck", "http://"+addrOf(agent)+"/readyz")
		<-check.done
		if check.cmd.ProcessState.ExitCode() != exitDone {
			t.Errorf("healthcheck: %s", check.output())
		}
		if m := metricsOf(ctx, t, agent); !strings.Contains(m, "\nparley_eventlog_conflicts_total 0\n") || !strings.Contains(m, "\nparley_eventlog_redelivered_total 0\n") ||
			!strings.Contains(m, "\nparley_nats_errors_total 0\n") {
			t.Errorf("metrics of an agentworker:\n%s", m)
		}
		parley(t, servers, "toolworker").expect(ctx, "toolworker started")
		e := parley(t, append(servers, "PARLEY_LOG_FORMAT=json"), "edge", "--addr", "127.0.0.1:0")
		e.expect(ctx, `"addr":"127.0.0.1:`)
		urls = append(urls, "http://"+addrOf(e))
	}
	parley(t, servers, "recorder").expect(ctx, `"recording"`)
	token, _, err := issuer.Issue("ana")
	if err != nil {
		t.Fatal(err)
	}
	lookup := func(name string) (string, bool) {
		if name == "PARLEY_TOKEN" {
			return token, true
		}
		return os.LookupEnv(name)
	}
	first, err := (&Client{URL: urls[0]}).caller(ctx, &env{lookup: lookup})
	if err != nil {
		t.Fatal(err)
	}
	second := &caller{url: urls[1], user: "ana", token: token}
	var accepted struct {
		ConversationID events.ConversationID `json:"conversation_id"`
	}
	if err := first.do(ctx, http.MethodPost, "/api/ana/tool_calls", map[string]any{"name": "add_task", "arguments": map[string]string{"title": "by hand"}}, &struct{}{}); err != nil {
		t.Fatal(err)
	}
	// A client of the second edge follows what is said through the first.
	done := make(chan error, 1)
	sent := make(chan struct{})
	id := events.ConversationIDFor("ana", "m1")
	go func() {
		<-sent
		res, err := second.request(ctx, http.MethodPost, "/api/ana/chat", map[string]string{"id": "m1", "message": "add buy milk"})
		if err != nil {
			done <- err
			return
		}
		defer func() { _ = res.Body.Close() }() // read to its end
		var text string
		err = frames(res.Body, func(f frame) (bool, error) {
			text += string(f.Commit)
			return true, nil
		})
		if err == nil && (!strings.Contains(text, `"run.completed"`) || !strings.Contains(text, `"tool.returned"`)) {
			t.Errorf("the second edge showed %s", text)
		}
		done <- err
	}()
	res, err := first.request(ctx, http.MethodPost, "/api/ana/chat", map[string]string{"id": "m1", "message": "add buy milk"})
	if err != nil {
		t.Fatal(err)
	}
	close(sent)
	err = frames(res.Body, func(f frame) (bool, error) {
		if f.Type == "commit" && accepted.ConversationID == "" {
			return true, json.Unmarshal(f.Commit, &accepted)
		}
		return true, nil
	})
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	if err != nil || accepted.ConversationID != id {
		t.Errorf("conversation %s, want %s: %v", accepted.ConversationID, id, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	var tasks struct {
		Data []struct{ Title string } `json:"data"`
	}
	if err := second.do(ctx, http.MethodGet, "/api/ana/tasks", nil, &tasks); err != nil {
		t.Fatal(err)
	}
	if len(tasks.Data) != 2 || !strings.Contains(strings.ToLower(tasks.Data[1].Title), "milk") {
		t.Errorf("tasks = %+v", tasks.Data)
	}
}

// A message waits for the answer that is being written, unless the edge is told that
// messages interrupt, or the message itself says so.
func TestWhenBusyOfAnEdge(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	server := testkit.StartNATS(t)
	nc := server.Connect(t)
	stored, err := nc.SubscribeSync("in.msg.>")
	if err == nil {
		err = nc.FlushWithContext(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	d := deploy(ctx, t, server.URL(), testkit.Postgres(t), "http://127.0.0.1:1")
	for _, c := range []struct {
		flags []string
		says  string // the message
		want  bool
	}{
		{nil, "", false},
		{nil, "interrupt", true},
		{[]string{"--when-busy=queue"}, "", false},
		{[]string{"--when-busy=interrupt"}, "", true},
		{[]string{"--when-busy=interrupt"}, "queue", false},
	} {
		e := d.start(ctx, "edge", c.flags...)
		ana := &caller{url: "http://" + addrOf(e), user: "ana", token: d.token("ana")}
		res, err := ana.request(ctx, http.MethodPost, "/api/ana/chat", map[string]string{"message": "hello", "when_busy": c.says})
		if err != nil {
			t.Fatal(err)
		}
		m, err := stored.NextMsgWithContext(ctx)
		if err != nil {
			t.Fatal(err)
		}
		in, err := events.DecodeInbox(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := in.Command.(events.Message); !ok || got.Interrupt != c.want {
			t.Errorf("edge with %q, message with %q: stored %+v", c.flags, c.says, in.Command)
		}
		if err := res.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}

// metricsOf returns what a role tells at its admin address.
func metricsOf(ctx context.Context, t *testing.T, p *process) string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addrOf(p)+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // read to its end
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// addrOf returns the first address that a process says it listens on.
func addrOf(p *process) string {
	_, rest, _ := strings.Cut(p.output(), `"addr":"`)
	addr, _, _ := strings.Cut(rest, `"`)
	return addr
}
