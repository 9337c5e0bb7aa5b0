package recorder

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/jackc/pgx/v5"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/readmodel"
)

// BenchmarkVerify checks an archive of a million events: 8,000 conversations of
// 200 people, 25 answers each, every fifth with a tool call. It also tells how
// fast the read models were rebuilt from it. With -short it is a tenth.
func BenchmarkVerify(b *testing.B) {
	db := testkit.Postgres(b)
	ctx := testkit.Context(b)
	store, err := readmodel.Open(ctx, db.OwnerURL, readmodel.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(store.Close)
	conversations := 8000
	if testing.Short() {
		conversations /= 10
	}
	total := fill(b, store, conversations, 25)
	rebuilt, err := Rebuild(ctx, RebuildOptions{Store: store})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		cpu := processCPU()
		r, err := Verify(ctx, VerifyOptions{Store: store})
		if err != nil {
			b.Fatal(err)
		}
		if r.Events != total || r.Conversations != conversations || r.Differences.Count != 0 || r.Unverifiable.Count != 0 || r.Pending.Count != 0 {
			b.Fatalf("checked %d events of %d in %d conversations: %d differences %v", r.Events, total, r.Conversations, r.Differences.Count, r.Differences.List)
		}
		b.ReportMetric(float64(r.Events)/r.Took.Seconds(), "events/s")
		b.ReportMetric(float64(r.Events)/r.Took.Seconds()/float64(runtime.GOMAXPROCS(0)), "events/s/core")
		b.ReportMetric((processCPU()-cpu).Seconds()*1e6/float64(r.Events), "cpu-µs/event")
		b.ReportMetric(float64(total)/rebuilt.Took.Seconds(), "rebuilt-events/s")
	}
}

// processCPU is what this process has used; Postgres is another.
func processCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fill writes an archive as a recorder would have, in the order of time, and
// returns its events.
func fill(b *testing.B, store *readmodel.Store, conversations, runs int) int {
	b.Helper()
	ctx := testkit.Context(b)
	answer := strings.Repeat("What is left to do today: the plants, a call, and the letter to the landlord. ", 5)
	ns := make([]uint64, conversations)
	parents := make([]events.RunID, conversations)
	total, seq := 0, int64(0)
	var archive, payload, ledger [][]any
	commit := func(c int, ref events.Ref, at time.Time, list ...events.Event) {
		ns[c]++
		seq++
		total += len(list)
		k := &events.Commit{
			V: events.Version, ConversationID: ref.Conversation(), UserID: ref.User(), N: ns[c], CommitID: fmt.Sprintf("%s:%d:agent", ref, ns[c]),
			Cause: fmt.Sprintf("cause-%d", ns[c]), By: events.ByUser, Time: at, Events: list,
		}
		raw, err := k.Encode()
		if err != nil {
			b.Fatal(err)
		}
		types := make([]string, len(list))
		for i, e := range list {
			types[i] = e.EventType()
		}
		salt := []byte("sixteen bytes ok")
		hash := sha256.Sum256(append(salt, raw...))
		archive = append(archive, []any{string(k.UserID), string(k.ConversationID), int64(k.N), k.CommitID, k.Cause, string(k.By), types, at, seq, int32(len(raw)), hash[:]})
		payload = append(payload, []any{string(k.UserID), string(k.ConversationID), int64(k.N), raw, salt})
	}
	write := func(table string, rows *[][]any, columns ...string) {
		if _, err := store.Pool().CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(*rows)); err != nil {
			b.Fatal(err)
		}
		*rows = (*rows)[:0]
	}
	for i := range runs {
		for c := range conversations {
			u := events.UserID(fmt.Sprintf("person-%d", c%200))
			ref, err := events.NewRef(u, events.ConversationIDFor(u, events.MessageID(fmt.Sprint(c))))
			if err != nil {
				b.Fatal(err)
			}
			at := testkit.Epoch.Add(time.Duration(i)*time.Hour + time.Duration(c)*time.Millisecond)
			m := events.MessageID(fmt.Sprintf("m-%d", i))
			run := events.RunIDFor(u, ref.Conversation(), m)
			commit(c, ref, at, events.MessageAccepted{MessageID: m, RunID: run, ParentID: parents[c], Text: fmt.Sprintf("And what about number %d of the list that we had?", i), Timezone: "Europe/Berlin"},
				events.RunStarted{RunID: run, MessageID: m, Model: "m", Deadline: at.Add(5 * time.Minute)},
				events.StepStarted{RunID: run, Step: 1, Attempt: 1, Lease: events.Lease{Stream: events.StreamInbox, Sequence: uint64(seq), Delivery: 1}, Worker: "w"})
			step := 1
			if i%5 == 0 {
				call, args := events.CallIDFor(run, 1, 0), jsontext.Value(`{"status":"open"}`)
				commit(c, ref, at.Add(time.Second), events.StepCompleted{RunID: run, Step: 1, Attempt: 1, ToolCalls: []events.ToolCall{{CallID: call, Name: "list_tasks", Arguments: args}}, FinishReason: "tool_calls"},
					events.ToolCalled{CallID: call, RunID: run, Server: taskServer, Name: "list_tasks", Arguments: args, By: events.ByModel, Deadline: at.Add(time.Minute)})
				commit(c, ref, at.Add(2*time.Second), events.ToolReturned{CallID: call, RunID: run, OK: true, Result: jsontext.Value(`{"tasks":[],"count":0}`), DurationMS: 3},
					events.StepStarted{RunID: run, Step: 2, Attempt: 1, Lease: events.Lease{Stream: events.StreamInbox, Sequence: uint64(seq), Delivery: 1}, Worker: "w"})
				ledger = append(ledger, []any{string(u), string(call), taskServer, "list_tasks", events.CallHash(taskServer, "list_tasks", args), "model", "done", true, []byte(`{"tasks":[],"count":0}`), int64(3), string(ref.Conversation()), string(run)})
				step = 2
			}
			usage := events.Usage{InputTokens: 300, OutputTokens: 90}
			commit(c, ref, at.Add(3*time.Second), events.StepCompleted{RunID: run, Step: step, Attempt: 1, Text: answer, Usage: usage, FinishReason: "stop"}, events.RunCompleted{RunID: run, Usage: usage})
			parents[c] = run
		}
		write("archive", &archive, "user_id", "conversation_id", "n", "commit_id", "cause", "by", "types", "time", "stream_seq", "size", "hash")
		write("archive_payload", &payload, "user_id", "conversation_id", "n", "payload", "salt")
		write("tool_call", &ledger, "user_id", "call_id", "server", "name", "args_hash", "by", "state", "ok", "result", "duration_ms", "conversation_id", "run_id")
	}
	if _, err := store.Pool().Exec(ctx, `INSERT INTO checkpoint (stream, incarnation, seq) VALUES ('LOG', now(), $1)`, seq); err != nil {
		b.Fatal(err)
	}
	if _, err := store.Pool().Exec(ctx, `ANALYZE`); err != nil {
		b.Fatal(err)
	}
	return total
}
