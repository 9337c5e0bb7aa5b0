package eventlog

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/events"
)

// ErrDrift reports a stream or consumer that exists with other settings.
var ErrDrift = errors.New("configuration differs")

// Layout is what [Provision] makes. The zero value is a single node with the
// built-in tool server and the waits of DESIGN §4.
type Layout struct {
	// Replicas of every stream; 0 means 1.
	Replicas int
	// AgentAckWait is how long a dead agentworker goes unnoticed; 0 means 15 s.
	AgentAckWait time.Duration
	// ToolAckWait likewise for tool workers; 0 means 30 s.
	ToolAckWait time.Duration
	// Servers are the names of the tool servers; nil means "tasks".
	Servers []string
}

// perSubject bounds the commands that wait for one conversation: a run has at
// most 8 calls in flight with up to two answers each, beside queued messages.
const perSubject = 64

// dedupe is the window in which the server recognises a repeated Nats-Msg-Id.
const dedupe = 5 * time.Minute

func (y Layout) streams() []jetstream.StreamConfig {
	r := max(y.Replicas, 1)
	return []jetstream.StreamConfig{
		{
			Name: events.StreamInbox, Subjects: []string{"in.msg.>", "in.ctl.>", "in.res.>"},
			Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
			MaxMsgsPerSubject: perSubject, MaxMsgSize: 256 << 10, Duplicates: dedupe,
			Storage: jetstream.FileStorage, Replicas: r, AllowDirect: true,
		},
		{
			Name: events.StreamLog, Subjects: []string{"log.>"},
			Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, MaxMsgSize: 1 << 20, Duplicates: dedupe,
			Storage: jetstream.FileStorage, Replicas: r, AllowDirect: true,
			RePublish: &jetstream.RePublish{Source: "log.>", Destination: "live.log.>"},
		},
		{
			Name: events.StreamWork, Subjects: []string{"work.>"},
			Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxMsgSize: 256 << 10, Duplicates: dedupe,
			Storage: jetstream.FileStorage, Replicas: r,
		},
		{
			// A stream with schedules refuses DiscardNew.
			Name: events.StreamTimer, Subjects: []string{"timer.at.>", "timer.fired.>"},
			Retention: jetstream.WorkQueuePolicy, MaxMsgSize: 16 << 10, Duplicates: dedupe,
			Storage: jetstream.FileStorage, Replicas: r, AllowMsgSchedules: true, AllowMsgTTL: true,
			AllowRollup: true, // schedules need it, and the server sets it itself
		},
		{
			Name: events.StreamDLQ, Subjects: []string{"dlq.>"},
			Retention: jetstream.LimitsPolicy, MaxAge: 30 * 24 * time.Hour, Duplicates: dedupe,
			Storage: jetstream.FileStorage, Replicas: r,
		},
	}
}

type consumer struct {
	stream string
	jetstream.ConsumerConfig
}

func (y Layout) consumers() []consumer {
	agent, tool := y.AgentAckWait, y.ToolAckWait
	if agent == 0 {
		agent = 15 * time.Second
	}
	if tool == 0 {
		tool = 30 * time.Second
	}
	servers := y.Servers
	if servers == nil {
		servers = []string{"tasks"}
	}
	durable := func(stream, name, filter string, wait time.Duration) consumer {
		return consumer{stream, jetstream.ConsumerConfig{
			Durable: name, FilterSubject: filter, AckPolicy: jetstream.AckExplicitPolicy, AckWait: wait,
			// Deliveries are bounded by the agent, which ends what it gives up; the
			// server would only let it lie.
			MaxDeliver: -1, MaxAckPending: 65536, MaxWaiting: 4096, DeliverPolicy: jetstream.DeliverAllPolicy,
		}}
	}
	list := []consumer{
		durable(events.StreamInbox, ConsumerResults, "in.res.>", agent),
		durable(events.StreamInbox, ConsumerMessages, "in.msg.>", agent),
		durable(events.StreamInbox, ConsumerControls, "in.ctl.>", agent),
		durable(events.StreamTimer, ConsumerTimers, "timer.fired.>", agent),
	}
	for _, s := range servers {
		list = append(list, durable(events.StreamWork, ToolConsumer(s), "work."+s+".>", tool))
	}
	return list
}

// Provision creates the streams and consumers of y that do not exist. It never
// changes or deletes one: a difference in anything that matters is ErrDrift,
// named. It may be run at any time, by several at once.
func Provision(ctx context.Context, nc *nats.Conn, y Layout) error {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(PublishTimeout))
	if err != nil {
		return fmt.Errorf("provision: %w", err)
	}
	for _, want := range y.streams() {
		s, err := js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			s, err = js.CreateStream(ctx, want)
		}
		if err != nil {
			return fmt.Errorf("provision: stream %s: %w", want.Name, err)
		}
		if d := drift(want, s.CachedInfo().Config); d != "" {
			return fmt.Errorf("provision: stream %s: %w: %s", want.Name, ErrDrift, d)
		}
	}
	for _, want := range y.consumers() {
		c, err := js.Consumer(ctx, want.stream, want.Durable)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			c, err = js.CreateConsumer(ctx, want.stream, want.ConsumerConfig)
		}
		if err != nil {
			return fmt.Errorf("provision: consumer %s: %w", want.Durable, err)
		}
		if d := drift(want.ConsumerConfig, c.CachedInfo().Config); d != "" {
			return fmt.Errorf("provision: consumer %s: %w: %s", want.Durable, ErrDrift, d)
		}
	}
	return nil
}

// free are the fields that an operator may set, and those that the server does:
// none of them changes what is stored, for how long, or who gets it.
var free = []string{"Name", "Description", "Metadata", "Placement", "Compression", "FirstSeq", "SampleFrequency", "PauseUntil"}

// drift names the fields that want and have differ in. A zero is a setting, too:
// a log that keeps so many commits of a conversation, or forgets by age, is not
// the log. Where the server writes -1 for no limit, that is what zero means.
func drift(want, have any) string {
	var names []string
	w, h := reflect.ValueOf(want), reflect.ValueOf(have)
	for i := range w.NumField() {
		name := w.Type().Field(i).Name
		if !slices.Contains(free, name) && !same(w.Field(i), h.Field(i)) {
			names = append(names, fmt.Sprintf("%s is %v, wanted %v", name, h.Field(i), w.Field(i)))
		}
	}
	slices.Sort(names)
	return strings.Join(names, "; ")
}

func same(a, b reflect.Value) bool {
	switch {
	case a.CanInt():
		return max(a.Int(), 0) == max(b.Int(), 0)
	case a.Kind() == reflect.Slice && a.Len() == 0:
		return b.Len() == 0
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}
