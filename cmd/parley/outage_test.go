package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// Outages of the servers under real processes, seconds long here and as long as
// PARLEY_TEST_OUTAGE says in the full check. What must hold is the table "What
// happens when" of docs/architecture.md.

// outage is how long a server is away.
func outage(t testing.TB) time.Duration {
	t.Helper()
	s := os.Getenv("PARLEY_TEST_OUTAGE")
	if s == "" {
		return 3 * time.Second
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		t.Fatalf("PARLEY_TEST_OUTAGE=%q is no positive duration", s)
	}
	return d
}

// prompt bounds what must not wait for a server that is away.
const prompt = 8 * time.Second

// readPatience bounds a read of Postgres: it waits out a restart.
const readPatience = 20 * time.Second

// shortWaits lets dead workers be noticed quickly.
var shortWaits = []string{"--agent-ack-wait=2s", "--tool-ack-wait=2s"}

// obedient is a model that does what the message says: "task X" adds a task,
// "long X" is written piece by piece until finish is closed, anything else is
// answered at once. answerTo is what it says.
func obedient(ctx context.Context, t testing.TB, finish <-chan struct{}) *testkit.Model {
	t.Helper()
	return testkit.NewModel(t, func(_ int, req testkit.ModelRequest) testkit.ModelReply {
		key, title := said(req)
		reply := testkit.ModelReply{Text: answerTo(key)}
		switch {
		case title:
			reply.Text = []string{"A title"}
		case strings.HasPrefix(key, "task ") && req.Messages[len(req.Messages)-1].Role != "tool":
			reply = testkit.ModelReply{Calls: [][2]string{{"add_task", fmt.Sprintf(`{"title":%q}`, key)}}}
		case strings.HasPrefix(key, "long "):
			reply.Gate = paced(ctx, 100*time.Millisecond, finish)
		}
		return reply
	})
}

func answerTo(key string) []string {
	if strings.HasPrefix(key, "long ") {
		return words(key, 600)
	}
	return words(key, 3)
}

// asks is a reader of one message.
func (d *deployment) asks(user, message string) *reader {
	return d.reader(user, strings.ReplaceAll(message, " ", "-"), message, strings.Join(answerTo(message), ""))
}

// within runs f and fails if it takes longer.
func within(ctx context.Context, limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %v", limit))
	defer cancel()
	err := f(ctx)
	if err == nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// eventually tries f until it succeeds.
func eventually(ctx context.Context, t testing.TB, f func(context.Context) error) {
	t.Helper()
	every := time.NewTicker(50 * time.Millisecond)
	defer every.Stop()
	for err := f(ctx); err != nil; err = f(ctx) {
		select {
		case <-every.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}

// submit has the message accepted without waiting for the answer.
func (r *reader) submit(ctx context.Context) error {
	return r.until(ctx, func(ctx context.Context) error {
		res, err := r.call(ctx, http.MethodPost, r.api("/chat"), "application/json", r.body(), "Prefer", "respond-async")
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }() // read to its end
		var out struct {
			ConversationID events.ConversationID `json:"conversation_id"`
			RunID          events.RunID          `json:"run_id"`
		}
		if res.StatusCode != http.StatusAccepted {
			return fmt.Errorf("answered %s", res.Status)
		}
		err = decode(res, &out)
		r.conv, r.run = out.ConversationID, out.RunID
		return err
	})
}

// ready asks an edge how it is.
func (r *reader) ready(ctx context.Context) (ready bool, checks map[string]string, err error) {
	r.at = r.d.edge(r.at)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.at+"/readyz", nil)
	if err != nil {
		return false, nil, err
	}
	res, err := r.http.Do(req)
	if err != nil {
		return false, nil, err
	}
	defer func() { _ = res.Body.Close() }() // read to its end
	var out struct {
		Ready  bool              `json:"ready"`
		Checks map[string]string `json:"checks"`
	}
	err = json.NewDecoder(res.Body).Decode(&out)
	if err == nil && out.Ready != (res.StatusCode == http.StatusOK) {
		err = fmt.Errorf("ready %v with %s", out.Ready, res.Status)
	}
	return out.Ready, out.Checks, err
}

// archived reports an error unless Postgres has every commit of the log.
func archived(ctx context.Context, t testing.TB, js jetstream.JetStream, db testkit.Database) error {
	t.Helper()
	s, err := js.Stream(ctx, events.StreamLog)
	if err != nil {
		return err
	}
	var rows uint64
	if err := db.Owner(t).QueryRow(ctx, "SELECT count(*) FROM archive").Scan(&rows); err != nil {
		return err
	}
	if n := s.CachedInfo().State.Msgs; n != rows {
		return fmt.Errorf("%d of %d commits are archived", rows, n)
	}
	return nil
}

// A scene is a deployment in the middle of answers: they end once finish is closed.
type scene struct {
	*deployment
	db      testkit.Database
	readers []*reader
	reading sync.WaitGroup
	finish  chan struct{}
}

// newScene starts every role on the NATS at url and as many answers, and returns when
// all are being written. Ana has a task.
func newScene(ctx context.Context, t *testing.T, url string, answers int) *scene {
	t.Helper()
	s := &scene{db: testkit.Postgres(t), finish: make(chan struct{})}
	model := obedient(ctx, t, s.finish)
	s.deployment = deploy(ctx, t, url, s.db, model.URL, shortWaits...)
	for _, role := range []string{"edge", "agentworker", "agentworker", "toolworker", "recorder"} {
		s.start(ctx, role)
	}
	if err := s.asks("ana", "task before").waitJSON(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range answers {
		r := s.asks(fmt.Sprintf("reader%d", i), fmt.Sprintf("long %d", i))
		s.readers = append(s.readers, r)
		s.reading.Go(func() {
			if err := r.read(i)(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(ctx, t, func(context.Context) error {
		if n := len(asked(model)); n < answers+1 {
			return fmt.Errorf("%d of %d answers have begun", n-1, answers)
		}
		return nil
	})
	return s
}

// over waits until the answers have been read and everything is archived.
func (s *scene) over(ctx context.Context, t *testing.T, nc *nats.Conn) {
	t.Helper()
	s.reading.Wait()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, func(ctx context.Context) error { return archived(ctx, t, js, s.db) })
}

func TestOutageOfPostgres(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]struct {
		away, back func(*testkit.PostgresServer, testing.TB)
	}{
		"paused":  {(*testkit.PostgresServer).Pause, (*testkit.PostgresServer).Continue},
		"stopped": {(*testkit.PostgresServer).Stop, (*testkit.PostgresServer).Start},
		"killed":  {(*testkit.PostgresServer).Kill, (*testkit.PostgresServer).Start},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			postgres := testkit.StartPostgres(t)
			outageOfPostgres(t, postgres, func() { how.away(postgres, t) }, func() { how.back(postgres, t) })
		})
	}
}

// Chat without tools goes on, tools wait, what needs Postgres says so, and
// afterwards everything is carried out once and archived.
func outageOfPostgres(t *testing.T, postgres *testkit.PostgresServer, away, back func()) {
	t.Helper()
	ctx := testkit.Context(t)
	nats, db := testkit.StartNATS(t), postgres.Database(t)
	// The kit's server forgets its last moments when it is killed; a real one does not.
	if _, err := db.Owner(t).Exec(ctx, "ALTER DATABASE "+db.Name+" SET synchronous_commit = on"); err != nil {
		t.Fatal(err)
	}
	d := deploy(ctx, t, nats.URL(), db, obedient(ctx, t, nil).URL, shortWaits...)
	for _, role := range []string{"edge", "agentworker", "agentworker", "toolworker", "recorder"} {
		d.start(ctx, role)
	}
	ana := d.asks("ana", "task before")
	for _, r := range []*reader{ana, d.asks("ben", "hello")} {
		if err := r.waitJSON(ctx); err != nil {
			t.Fatal(err)
		}
	}

	away()
	over := time.Now().Add(outage(t))
	list := make(chan error, 1)
	go func() {
		list <- within(ctx, readPatience, func(ctx context.Context) error {
			r := d.asks("ana", "")
			_, err := r.tasks(ctx)
			return err
		})
	}()
	waiting := d.asks("ana", "task during")
	if err := within(ctx, prompt, waiting.submit); err != nil {
		t.Errorf("a message that needs a tool: %v", err)
	}
	for i := 0; i == 0 || time.Now().Before(over); i++ {
		r := d.asks(fmt.Sprintf("cleo%d", i), "hello")
		if i%2 == 1 { // who has talked before talks on
			r = d.asks("ben", fmt.Sprintf("and %d", i))
		}
		begun := time.Now()
		if err := within(ctx, prompt, []func(context.Context) error{r.waitJSON, r.readSSE, r.readSocket}[i%3]); err != nil {
			t.Errorf("chat without tools: %v", err)
			break
		}
		if i == 0 {
			t.Logf("the first answer took %v", time.Since(begun).Round(time.Millisecond))
		}
	}
	ready, checks, err := ana.ready(ctx)
	if err != nil || !ready || checks["postgres"] == "ok" {
		t.Errorf("readyz: %v %v %v", ready, checks, err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(over)):
	}
	back()

	// What only Postgres knows waits for it a while, then is refused with a reason.
	var no *refused
	if err := <-list; err != nil && (!errors.As(err, &no) || no.status != http.StatusServiceUnavailable || no.retryAfter == "" || no.text == "") {
		t.Errorf("the list of tasks: %v", err)
	} else if err == nil && outage(t) > readPatience {
		t.Error("tasks were listed without Postgres")
	}
	if err := waiting.waitJSON(ctx); err != nil {
		t.Errorf("the tool that waited: %v", err)
	}
	eventually(ctx, t, func(ctx context.Context) error {
		tasks, err := ana.tasks(ctx)
		if err == nil && strings.Join(tasks, ",") != "task before,task during" {
			err = fmt.Errorf("tasks are %q", tasks)
		}
		return err
	})
	js, err := jetstream.New(nats.Connect(t))
	if err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, func(ctx context.Context) error { return archived(ctx, t, js, db) })
}
