//go:build drills

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/embedded"
	"github.com/parleychat/parley/internal/testkit"
)

// The drills of docs/operations.md: what it tells to do is done here.

// A streamBackup is what the server's snapshot interface gives of one stream,
// as `nats stream backup` keeps it.
type streamBackup struct {
	Config json.RawMessage `json:"config"`
	State  json.RawMessage `json:"state"`
	chunks [][]byte
}

// backupOrder takes the log last: what has left a queue by then is in the log.
var backupOrder = []string{events.StreamInbox, events.StreamWork, events.StreamTimer, events.StreamDLQ, events.StreamLog}

func backupStreams(ctx context.Context, nc *nats.Conn) (map[string]*streamBackup, error) {
	all := map[string]*streamBackup{}
	for _, name := range backupOrder {
		b, err := backupStream(ctx, nc, name)
		if err != nil {
			return nil, fmt.Errorf("back up %s: %w", name, err)
		}
		all[name] = b
	}
	return all, nil
}

func backupStream(ctx context.Context, nc *nats.Conn, name string) (_ *streamBackup, err error) {
	chunks, err := nc.SubscribeSync(nc.NewRespInbox())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, chunks.Unsubscribe()) }()
	var b streamBackup
	if err := jsRequest(ctx, nc, "$JS.API.STREAM.SNAPSHOT."+name, map[string]any{"deliver_subject": chunks.Subject, "jsck": true}, &b); err != nil {
		return nil, err
	}
	for {
		m, err := chunks.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		if len(m.Data) == 0 {
			if d := m.Header.Get("Description"); d != "" && m.Header.Get("Status") != "204" {
				return nil, errors.New(d)
			}
			return &b, nil
		}
		b.chunks = append(b.chunks, m.Data)
		if m.Reply == "" {
			continue // the last one
		}
		if err := m.Respond(nil); err != nil { // asks for the next ones
			return nil, err
		}
	}
}

func (b *streamBackup) restore(ctx context.Context, nc *nats.Conn, name string) error {
	var where struct {
		DeliverSubject string `json:"deliver_subject"`
	}
	if err := jsRequest(ctx, nc, "$JS.API.STREAM.RESTORE."+name, b, &where); err != nil {
		return err
	}
	for _, c := range b.chunks {
		if _, err := nc.RequestWithContext(ctx, where.DeliverSubject, c); err != nil {
			return err
		}
	}
	return jsRequest(ctx, nc, where.DeliverSubject, nil, &struct{}{})
}

// jsRequest asks JetStream and reads its answer; nil asks with nothing.
func jsRequest(ctx context.Context, nc *nats.Conn, subject string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	m, err := nc.RequestWithContext(ctx, subject, body)
	if err != nil {
		return err
	}
	var failed struct {
		Error *struct{ Description string } `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &failed); err != nil {
		return fmt.Errorf("%s answered %q: %w", subject, m.Data, err)
	}
	if failed.Error != nil {
		return errors.New(failed.Error.Description)
	}
	return json.Unmarshal(m.Data, out)
}

// postgresTool runs one of PostgreSQL's own programs.
func postgresTool(ctx context.Context, t testing.TB, name string, args ...string) {
	t.Helper()
	bin, err := embedded.FindPostgres(ctx, embedded.FindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(ctx, filepath.Join(bin.Dir, name), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// tell sends sig to processes.
func tell(t testing.TB, sig syscall.Signal, list []*process) {
	t.Helper()
	for _, p := range list {
		if err := p.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
}

// Everything is lost but a backup that was taken while people were writing.
func TestDrillBackupAndRestore(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	model := obedient(ctx, t, nil)
	postgres, n := testkit.StartPostgres(t), startNATSProcess(ctx, t, natsSettings{})
	db := postgres.Database(t)
	d := deploy(ctx, t, n.url(), db, model.URL, shortWaits...)
	var running []*process
	for _, role := range []string{"edge", "agentworker", "agentworker", "toolworker", "recorder"} {
		running = append(running, d.start(ctx, role))
	}

	// People write, each message in a conversation of its own, before, during and after the backup.
	const people = 6
	var mu sync.Mutex
	var all, before []*reader
	var writing sync.WaitGroup
	over := make(chan struct{})
	for i := range people {
		writing.Go(func() {
			for k := 0; ; k++ {
				r := d.asks(fmt.Sprintf("person%d", i), fmt.Sprintf("task %d-%d", i, k))
				mu.Lock()
				all = append(all, r)
				mu.Unlock()
				if err := r.waitJSON(ctx); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				before = append(before, r)
				mu.Unlock()
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(before) }
	written := func(more int) {
		t.Helper()
		want := count() + more
		eventually(ctx, t, func(context.Context) error {
			if n := count(); n < want {
				return fmt.Errorf("%d of %d messages are answered", n, want)
			}
			return nil
		})
	}
	written(20)
	mu.Lock()
	kept := append([]*reader(nil), before...)
	mu.Unlock()
	// While no recorder runs, the archive stays behind the log; while no worker
	// does, nothing moves from one queue to another. People go on writing.
	workers, recorder := running[1:4], running[4]
	d.term(recorder)
	d.wait(ctx, recorder, exitDone)
	tell(t, syscall.SIGSTOP, workers)
	streams, err := backupStreams(ctx, n.connect())
	if err != nil {
		t.Fatal(err)
	}
	dump := filepath.Join(t.TempDir(), "parley.dump")
	postgresTool(ctx, t, "pg_dump", "--format=custom", "--file="+dump, "--dbname="+postgres.AdminURL(db))
	tell(t, syscall.SIGCONT, workers)
	running = append(running, d.start(ctx, "recorder"))
	written(5)
	close(over)
	writing.Wait()
	for _, p := range running {
		_ = p.cmd.Process.Kill() // the disaster
		<-p.done
	}
	n.kill()
	postgres.Kill(t)

	fresh, n2 := testkit.StartPostgres(t), startNATSProcess(ctx, t, natsSettings{})
	db2 := fresh.EmptyDatabase(t)
	postgresTool(ctx, t, "pg_restore", "--exit-on-error", "--dbname="+fresh.AdminURL(db2), dump)
	nc := n2.connect()
	for _, name := range backupOrder {
		if err := streams[name].restore(ctx, nc, name); err != nil {
			t.Fatalf("restore %s: %v", name, err)
		}
	}
	d2 := deploy(ctx, t, n2.url(), db2, model.URL, shortWaits...) // provision finds everything there
	// To NATS a restored stream is a new one: somebody has to say that it is the right one.
	careful := d2.begin("recorder")
	d2.wait(ctx, careful, exitFailed)
	if !strings.Contains(careful.output(), "the log is another one than Postgres knows") {
		t.Errorf("a recorder that finds a restored log says %s", careful.output())
	}
	d2.start(ctx, "recorder", "--adopt-new-log")
	for _, role := range []string{"agentworker", "agentworker", "toolworker", "edge"} {
		d2.start(ctx, role)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, func(ctx context.Context) error { return archived(ctx, t, js, db2) })
	d2.verify(ctx)

	// What was answered before the backup is there, and costs no model call; what
	// came later is sent again, as a client does that has no answer.
	asks := len(asked(model))
	for _, r := range kept {
		again := d2.asks(r.user, r.message)
		if err := again.waitJSON(ctx); err != nil || again.run != r.run {
			t.Errorf("after the restore: run %s, want %s: %v", again.run, r.run, err)
		}
	}
	if n := len(asked(model)); n != asks {
		t.Errorf("reading cost %d model calls", n-asks)
	}
	for _, r := range all {
		if err := d2.asks(r.user, r.message).waitJSON(ctx); err != nil {
			t.Errorf("sent again: %v", err)
		}
	}
	if err := d2.asks("zoe", "task after").waitJSON(ctx); err != nil {
		t.Error(err)
	}
	// The ids of calls are those of before: each task is there once.
	for i := range people {
		who := fmt.Sprintf("person%d", i)
		tasks, err := d2.asks(who, "").tasks(ctx)
		want := 0
		for _, r := range all {
			if r.user == who {
				want++
			}
		}
		if slices.Sort(tasks); err != nil || len(tasks) != want || len(slices.Compact(tasks)) != want {
			t.Errorf("%s has the tasks %q after %d messages, %v", who, tasks, want, err)
		}
	}
	t.Logf("%d messages before the backup, %d in all", len(kept), len(all))
}

// verify has parley verify look, which finds nothing.
func (d *deployment) verify(ctx context.Context) {
	d.t.Helper()
	out := d.run(ctx, "verify")
	if !strings.Contains(out, "\n0 differences, 0 unverifiable, 0 pending\n") {
		d.t.Errorf("verify: %s", out)
	}
	d.t.Logf("verify: %s", out)
}
