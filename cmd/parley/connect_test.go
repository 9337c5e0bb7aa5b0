package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parleychat/parley/internal/embedded"
	"github.com/parleychat/parley/internal/testkit"
)

// What goes wrong on a connection and answers nobody is an error in the log, and a
// number of the process that can be watched.
func TestErrorsThatAnswerNobodyAreCounted(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	srv := testkit.StartNATS(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "test", Password: "test", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"forbidden.>"}},
		}}}
	})
	said := &testkit.Output{}
	e := &env{logger: slog.New(slog.NewTextHandler(said, nil))}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(natsMetric(e))
	count := func() float64 {
		t.Helper()
		list, err := registry.Gather()
		if err != nil || len(list) != 1 || list[0].GetName() != "parley_nats_errors_total" {
			t.Fatalf("metrics %v (%v)", list, err)
		}
		return list[0].GetMetric()[0].GetCounter().GetValue()
	}
	for want := range 3 { // all connections of a process are counted together
		if n := count(); n != float64(want) {
			t.Errorf("%v errors, want %d", n, want)
		}
		c, err := dial(e, "edge", embedded.NATSAccess{URL: srv.URL(), User: "test", Password: "test"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.close)
		before := len(said.String())
		if err := c.Publish("forbidden.fruit", nil); err != nil {
			t.Fatal(err)
		}
		if !said.Await(ctx, nil, before, "level=ERROR msg=nats") {
			t.Fatal("a publish that is not allowed is not told")
		}
	}
}

// What is wrong with an address is said without its secrets, however it is written.
func TestErrorsAboutAddressesHoldNoSecrets(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--nats-url", "nats://s3cret@127.0.0.1:1", "--database-url", "postgres://127.0.0.1:1/p"},
		{"--nats-url", "nats://ana:s3cret@127.0.0.1:1", "--database-url", "postgres://127.0.0.1:1/p"},
		{"--nats-url", "nats://ana:s3cret@127.0.0.1:1,nats://ana:s3cret@127.0.0.1:2", "--database-url", "postgres://127.0.0.1:1/p"},
		{"--nats-url", "nats://ana:s3cret @127.0.0.1:1", "--database-url", "postgres://127.0.0.1:1/p"},
	} {
		var out bytes.Buffer
		code := run(context.Background(), append([]string{"toolworker", "--wait", "0s"}, args...), func(string) (string, bool) { return "", false }, &out, &out)
		if code != exitFailed || strings.Contains(out.String(), "s3cret") {
			t.Errorf("%q: exit %d, %s", args[1], code, out.String())
		}
	}
	for _, s := range []string{"host=127.0.0.1 user=ana password=s3cret", "postgres://ana:s3cret@host/db?password=s3cret", "s3cret", "postgres://ana:s3cret %@host"} {
		if got := redact(s); strings.Contains(got, "s3cret") {
			t.Errorf("redact(%q) = %q", s, got)
		}
	}
}
