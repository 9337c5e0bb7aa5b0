package testkit_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/internal/testkit"
)

func TestNATSIsPrivateAndHasJetStream(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	for _, nc := range []*nats.Conn{testkit.NATS(t), testkit.NATS(t)} {
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		// Creating the same name twice with another subject would fail if the
		// two shared a server.
		subject := nats.NewInbox()
		if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{subject}}); err != nil {
			t.Fatal(err)
		}
		ack, err := js.Publish(ctx, subject, []byte("x"))
		if err != nil || ack.Sequence != 1 {
			t.Fatalf("publish: sequence %v, err %v; want the first message of a fresh server", ack, err)
		}
	}
}

func TestNATSRestartKeepsStoreAndClients(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	s := testkit.StartNATS(t)
	reconnected := make(chan struct{}, 2)
	again := nats.ReconnectHandler(func(*nats.Conn) { reconnected <- struct{}{} })
	conns := []*nats.Conn{s.Connect(t, again), s.ConnectTCP(t, again)}

	js, err := jetstream.New(conns[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, "s", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	url := s.URL()
	s.Restart(t)
	for range conns {
		select {
		case <-reconnected:
		case <-ctx.Done():
			t.Fatal("clients did not reconnect")
		}
	}
	if s.URL() != url {
		t.Errorf("address changed from %s to %s", url, s.URL())
	}
	for _, nc := range conns {
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		st, err := js.Stream(ctx, "S")
		if err != nil {
			t.Fatal(err)
		}
		m, err := st.GetMsg(ctx, 1)
		if err != nil || string(m.Data) != "kept" {
			t.Errorf("message after restart: %v, %v", m, err)
		}
	}
}
