package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

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
