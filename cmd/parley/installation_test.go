package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/internal/testkit"
)

// An installation that is given the database of another one: people are answered,
// the recorder says what is wrong and ends, and what was archived stays as it is.
// Told to adopt the log, it still overwrites nothing: where both have a
// conversation it raises the alarm.
func TestArchiveOfAnotherInstallation(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	db, finish := testkit.Postgres(t), make(chan struct{})
	close(finish)
	model := obedient(ctx, t, finish)
	installation := func() (*deployment, jetstream.JetStream) {
		t.Helper()
		server := testkit.StartNATS(t)
		js, err := jetstream.New(server.Connect(t))
		if err != nil {
			t.Fatal(err)
		}
		d := deploy(ctx, t, server.URL(), db, model.URL, shortWaits...)
		for _, role := range []string{"edge", "agentworker", "toolworker"} {
			d.start(ctx, role)
		}
		return d, js
	}
	answered := func(d *deployment, user, message string) *reader {
		t.Helper()
		r := d.asks(user, message)
		if err := r.waitJSON(ctx); err != nil {
			t.Fatal(err)
		}
		return r
	}
	pool := db.Owner(t)
	rows := func() (all string) {
		t.Helper()
		err := pool.QueryRow(ctx, `SELECT string_agg(a::text, E'\n' ORDER BY user_id, conversation_id, n) FROM archive a`).Scan(&all)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}

	theirs, log := installation()
	recorder := theirs.start(ctx, "recorder")
	both := answered(theirs, "ana", "task for the first")
	eventually(ctx, t, func(ctx context.Context) error { return settled(ctx, t, log, db) })
	theirs.term(recorder)
	theirs.wait(ctx, recorder, exitDone)
	before := rows()

	ours, log := installation()
	second := ours.begin("recorder")
	ours.wait(ctx, second, exitFailed)
	for _, want := range []string{"the log is another one than Postgres knows", "restore the NATS store that belongs to this database"} {
		if !strings.Contains(second.output(), want) {
			t.Errorf("the recorder does not say %q: %s", want, second.output())
		}
	}
	if r := answered(ours, "ana", "task for the first"); r.conv != both.conv {
		t.Fatalf("conversation %s, want %s as in the other installation", r.conv, both.conv)
	}
	answered(ours, "ben", "task for the second")
	if after := rows(); after != before {
		t.Errorf("the archive has changed, from\n%s\nto\n%s", before, after)
	}

	adopting := ours.begin("recorder", "--adopt-new-log", "--admin-addr", "127.0.0.1:0")
	adopting.expect(ctx, ready["recorder"])
	adopting.expect(ctx, `"addr":"127.0.0.1:`)
	adopting.expect(ctx, "message of the log rejected")
	eventually(ctx, t, func(ctx context.Context) error {
		s, err := log.Stream(ctx, "LOG")
		if err != nil {
			return err
		}
		if m := metricsOf(ctx, t, adopting); !strings.Contains(m, fmt.Sprintf("\nparley_recorder_position %d\n", s.CachedInfo().State.LastSeq)) ||
			!strings.Contains(m, "\nparley_recorder_rejected{reason=\"altered\"} ") || strings.Contains(m, "\nparley_recorder_rejected{reason=\"altered\"} 0\n") {
			return fmt.Errorf("no alarm, or not at the end: %s", m)
		}
		return nil
	})
	if after := rows(); !strings.HasPrefix(after, before+"\n") || !strings.Contains(after[len(before):], "ben") {
		t.Errorf("the archive is not what it was and ben's conversation, from\n%s\nto\n%s", before, after)
	}
	answered(ours, "cem", "good night")
}

// settled is archived, where the first answer has its title too.
func settled(ctx context.Context, t *testing.T, js jetstream.JetStream, db testkit.Database) error {
	t.Helper()
	var titled bool
	err := db.Owner(t).QueryRow(ctx, `SELECT EXISTS (SELECT FROM archive WHERE 'conversation.renamed' = ANY(types))`).Scan(&titled)
	if err == nil && !titled {
		err = fmt.Errorf("no title")
	}
	if err != nil {
		return err
	}
	return archived(ctx, t, js, db)
}
