package eventlog_test

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

func TestProvisionRepeatsAndFindsDrift(t *testing.T) {
	t.Parallel()
	nc := testkit.NATS(t)
	ctx := testkit.Context(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := eventlog.Provision(ctx, nc, eventlog.Layout{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := eventlog.Provision(ctx, nc, eventlog.Layout{AgentAckWait: time.Minute}); !errors.Is(err, eventlog.ErrDrift) {
		t.Errorf("a consumer with another AckWait: %v", err)
	}
	if _, err := eventlog.Open(ctx, testkit.NATS(t), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a server without streams was opened")
	}
}

// A stream that is there already must be the one wanted, in each field by itself.
func TestProvisionFindsDriftOfStreams(t *testing.T) {
	t.Parallel()
	type config = jetstream.StreamConfig
	for _, tt := range []struct {
		stream, field string
		change        func(*config)
	}{
		{events.StreamLog, "Subjects", func(c *config) { c.Subjects = []string{"log.ana.>"} }},
		{events.StreamLog, "Retention", func(c *config) { c.Retention = jetstream.InterestPolicy }},
		{events.StreamLog, "Discard", func(c *config) { c.Discard = jetstream.DiscardOld }},
		{events.StreamLog, "Storage", func(c *config) { c.Storage = jetstream.MemoryStorage }},
		{events.StreamLog, "MaxAge", func(c *config) { c.MaxAge = time.Hour }},
		{events.StreamLog, "MaxMsgs", func(c *config) { c.MaxMsgs = 1_000_000 }},
		{events.StreamLog, "MaxBytes", func(c *config) { c.MaxBytes = 64 << 20 }},
		{events.StreamLog, "MaxMsgsPerSubject", func(c *config) { c.MaxMsgsPerSubject = 1000 }},
		{events.StreamLog, "MaxMsgSize", func(c *config) { c.MaxMsgSize = 1 << 10 }},
		{events.StreamLog, "MaxConsumers", func(c *config) { c.MaxConsumers = 2 }},
		{events.StreamLog, "Duplicates", func(c *config) { c.Duplicates = time.Second }},
		{events.StreamLog, "NoAck", func(c *config) { c.NoAck = true }},
		{events.StreamLog, "DenyPurge", func(c *config) { c.DenyPurge = true }},
		{events.StreamLog, "AllowRollup", func(c *config) { c.AllowRollup = true }},
		{events.StreamLog, "AllowDirect", func(c *config) { c.AllowDirect = false }},
		{events.StreamLog, "RePublish", func(c *config) { c.RePublish = nil }},
		{events.StreamLog, "RePublish", func(c *config) { c.RePublish.HeadersOnly = true }},
		{events.StreamInbox, "MaxMsgsPerSubject", func(c *config) { c.MaxMsgsPerSubject = 8 }},
		{events.StreamInbox, "DiscardNewPerSubject", func(c *config) { c.DiscardNewPerSubject = false }},
		{events.StreamWork, "MaxMsgs", func(c *config) { c.MaxMsgs = 100 }},
		{events.StreamTimer, "MaxMsgsPerSubject", func(c *config) { c.MaxMsgsPerSubject = 1 }},
		{events.StreamTimer, "AllowMsgSchedules", func(c *config) { c.AllowMsgSchedules = false }},
		{events.StreamDLQ, "MaxMsgSize", func(c *config) { c.MaxMsgSize = 1 << 10 }},
		{events.StreamDLQ, "", func(c *config) {
			c.Description, c.Metadata, c.Compression = "given up", map[string]string{"owner": "ops"}, jetstream.S2Compression
		}},
	} {
		t.Run(tt.stream+"/"+tt.field, func(t *testing.T) {
			t.Parallel()
			nc, ctx := testkit.NATS(t), testkit.Context(t)
			if err := eventlog.Provision(ctx, nc, eventlog.Layout{}); err != nil {
				t.Fatal(err)
			}
			js, err := jetstream.New(nc)
			if err != nil {
				t.Fatal(err)
			}
			s, err := js.Stream(ctx, tt.stream)
			if err != nil {
				t.Fatal(err)
			}
			c := s.CachedInfo().Config
			c.Metadata = nil
			tt.change(&c)
			if err := js.DeleteStream(ctx, tt.stream); err != nil {
				t.Fatal(err)
			}
			if _, err := js.CreateStream(ctx, c); err != nil {
				t.Fatal(err)
			}
			differs(t, eventlog.Provision(ctx, nc, eventlog.Layout{}), tt.stream, tt.field)
		})
	}
}

func TestProvisionFindsDriftOfConsumers(t *testing.T) {
	t.Parallel()
	type config = jetstream.ConsumerConfig
	for _, tt := range []struct {
		field  string
		change func(*config)
	}{
		{"AckWait", func(c *config) { c.AckWait = time.Minute }},
		{"MaxDeliver", func(c *config) { c.MaxDeliver = 5 }},
		{"BackOff", func(c *config) { c.BackOff = []time.Duration{c.AckWait, time.Hour} }},
		{"FilterSubject", func(c *config) { c.FilterSubject = "in.msg.ana.>" }},
		{"ReplayPolicy", func(c *config) { c.ReplayPolicy = jetstream.ReplayOriginalPolicy }},
		{"MaxWaiting", func(c *config) { c.MaxWaiting = 1 }},
		{"MaxAckPending", func(c *config) { c.MaxAckPending = 1 }},
		{"HeadersOnly", func(c *config) { c.HeadersOnly = true }},
		{"MaxRequestBatch", func(c *config) { c.MaxRequestBatch = 1 }},
		{"InactiveThreshold", func(c *config) { c.InactiveThreshold = time.Hour }},
		{"MemoryStorage", func(c *config) { c.MemoryStorage = true }},
		{"", func(c *config) { c.Description, c.Metadata = "people", map[string]string{"owner": "ops"} }},
	} {
		t.Run(tt.field, func(t *testing.T) {
			t.Parallel()
			nc, ctx := testkit.NATS(t), testkit.Context(t)
			if err := eventlog.Provision(ctx, nc, eventlog.Layout{}); err != nil {
				t.Fatal(err)
			}
			js, err := jetstream.New(nc)
			if err != nil {
				t.Fatal(err)
			}
			s, err := js.Consumer(ctx, events.StreamInbox, eventlog.ConsumerMessages)
			if err != nil {
				t.Fatal(err)
			}
			c := s.CachedInfo().Config
			c.Metadata = nil
			tt.change(&c)
			if err := js.DeleteConsumer(ctx, events.StreamInbox, eventlog.ConsumerMessages); err != nil {
				t.Fatal(err)
			}
			if _, err := js.CreateConsumer(ctx, events.StreamInbox, c); err != nil {
				t.Fatal(err)
			}
			differs(t, eventlog.Provision(ctx, nc, eventlog.Layout{}), eventlog.ConsumerMessages, tt.field)
		})
	}
}

// differs checks that err names what differs, and only that; no field is for no difference.
func differs(t *testing.T, err error, where, field string) {
	t.Helper()
	switch {
	case field == "" && err == nil:
	case field == "" || !errors.Is(err, eventlog.ErrDrift) || !strings.Contains(err.Error(), where+": "+eventlog.ErrDrift.Error()+": "+field+" is ") || strings.Contains(err.Error(), ";"):
		t.Errorf("%s with another %s: %v", where, field, err)
	}
}
