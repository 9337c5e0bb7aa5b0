package agentworker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/parleychat/parley/agentworker/openai"
	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
)

// Options configure a [Worker].
type Options struct {
	Log *eventlog.Log // required
	// Deltas is where pieces of answers go out; default Log. A connection of its
	// own spares them from waiting: the server answers a read of the log before it
	// looks at what follows on the same connection, and the read waits for fsyncs.
	Deltas  *eventlog.Log
	Archive eventlog.Archive // required: histories that the stream no longer holds
	Model   *openai.Client   // required
	Rules   Rules            // Rules.Model is required
	Prompt  *Prompt          // nil means the built-in one
	// NoTitles turns off titles made by the model.
	NoTitles bool
	// Slots is how many model calls run at once; default 256.
	Slots int
	// Grace is how long running answers may finish after the context of Run ends; default 20 s.
	Grace time.Duration
	// Now is the clock of commits; default time.Now.
	Now    func() time.Time
	Logger *slog.Logger // default slog.Default()
}

// controls bounds the control messages and timers handled at once. They wait
// for no slot, so that a cancel never waits behind the answers it should stop.
const controls = 64

// handOverTime bounds how long a stopping worker tries to say in the log that it
// hands a step over. Without that the step is taken over all the same, as a failed attempt.
const handOverTime = 500 * time.Millisecond

// titles bounds the titles being made at once; one too many is left out.
const titles = 8

var (
	errShutdown = errors.New("worker is stopping")
	errStopped  = errors.New("run was asked to stop")
	errLost     = errors.New("lease was lost")
	errUnstored = errors.New("commit was not stored")
)

// A Worker handles inbox messages. Any number may run, in one process or many.
type Worker struct {
	opts   Options
	log    *eventlog.Log
	rules  Rules
	cache  *cache
	slots  *slots
	titles chan struct{}
	name   string
	logger *slog.Logger
}

// New checks o and returns a worker that is not running yet.
func New(o Options) (*Worker, error) {
	if o.Log == nil || o.Archive == nil || o.Model == nil || o.Rules.Model == "" {
		return nil, errors.New("agentworker: log, archive, model and the model's name are required")
	}
	if o.Prompt == nil {
		p, err := ParsePrompt("")
		if err != nil {
			return nil, err
		}
		o.Prompt = p
	}
	if o.Deltas == nil {
		o.Deltas = o.Log
	}
	if o.Slots == 0 {
		o.Slots = 256
	}
	if o.Grace == 0 {
		o.Grace = 20 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Rules.Limits = o.Rules.Limits.withDefaults()
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("agentworker: %w", err)
	}
	return &Worker{
		opts: o, log: o.Log, rules: o.Rules, cache: newCache(o.Log, o.Archive), slots: newSlots(o.Slots),
		titles: make(chan struct{}, titles), name: id.String(), logger: o.Logger.With("role", "agentworker"),
	}, nil
}

// Run handles messages until ctx ends, then takes nothing new, lets running
// answers finish for the grace period, and hands the rest to other workers.
func (w *Worker) Run(ctx context.Context) error {
	work, end := outlive(ctx, w.opts.Grace, errShutdown)
	defer end()
	free := make(chan struct{}, controls)
	unslotted := func(ctx context.Context) (func(), error) {
		select {
		case free <- struct{}{}:
			return func() { <-free }, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	serve := func(stream, consumer string, acquire eventlog.Acquire, slotted bool) {
		h := func(ctx context.Context, d *eventlog.Delivery) { w.handle(ctx, d, slotted) }
		g.Go(func() error { return w.log.Serve(gctx, work, stream, consumer, acquire, h) })
	}
	serve(events.StreamInbox, eventlog.ConsumerResults, w.slots.first, true)
	serve(events.StreamInbox, eventlog.ConsumerMessages, w.slots.second, true)
	serve(events.StreamInbox, eventlog.ConsumerControls, unslotted, false)
	serve(events.StreamTimer, eventlog.ConsumerTimers, unslotted, false)
	g.Go(func() error {
		w.reemit(gctx)
		return nil
	})
	w.logger.Info("agentworker started", "worker", w.name, "slots", w.opts.Slots)
	if err := g.Wait(); err != nil {
		return fmt.Errorf("agentworker: %w", err)
	}
	w.logger.Info("agentworker stopped", "worker", w.name)
	return nil
}

// outlive returns a context that ends, for the given reason, that long after ctx
// has. End releases it.
func outlive(ctx context.Context, long time.Duration, reason error) (later context.Context, end func()) {
	later, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	undo := context.AfterFunc(ctx, func() {
		t := time.NewTimer(long)
		defer t.Stop()
		select {
		case <-t.C:
			cancel(reason)
		case <-later.Done():
		}
	})
	return later, func() {
		undo()
		cancel(nil)
	}
}

// read decodes a delivery. A body that this build cannot read is told from its headers.
func (w *Worker) read(d *eventlog.Delivery) (Input, events.Ref, error) {
	in := Input{Lease: d.Lease(), Worker: w.name}
	body, err := events.DecodeInbox(d.Data())
	if err == nil {
		in.Inbox = *body
	} else {
		in.Inbox = events.Inbox{
			ID: d.Header(events.HeaderID), UserID: events.UserID(d.Header(events.HeaderUser)),
			ConversationID: events.ConversationID(d.Header(events.HeaderConversation)),
			Command:        Unreadable{d.Header(events.HeaderCommand)},
		}
		w.logger.Error("unreadable inbox message", "stream", in.Lease.Stream, "seq", in.Lease.Sequence, "delivery", in.Lease.Delivery, "err", err)
	}
	ref, err := in.Ref()
	if err != nil {
		return in, ref, err
	}
	if want := in.Subject(ref); d.Subject() != want && err == nil && body != nil {
		return in, ref, fmt.Errorf("message for %s on another subject: %w", in.ConversationID, events.ErrMalformed)
	}
	return in, ref, nil
}
