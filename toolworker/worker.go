package toolworker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
	"github.com/parleychat/parley/toolworker/ledger"
	"github.com/parleychat/parley/toolworker/tasks"
)

// maxDeliveries is how often an item is tried before its call is refused.
const maxDeliveries = 12

// maxWait bounds the pause between two tries while Postgres or NATS is away.
const maxWait = 2 * time.Second

// Options configure a [Worker].
type Options struct {
	Log  *eventlog.Log // required
	Pool *pgxpool.Pool // required: ledger and tasks
	// Slots is how many calls run at once; default 32.
	Slots int
	// Grace is how long running calls may finish after the context of Run ends; default 10 s.
	Grace time.Duration
	// Registerer takes the metrics; nil means they are not offered.
	Registerer prometheus.Registerer
	Now        func() time.Time // default time.Now
	Logger     *slog.Logger     // default slog.Default()
}

// A Worker serves the built-in tool server. Any number may run.
type Worker struct {
	opts   Options
	log    *eventlog.Log
	logger *slog.Logger
	// reused counts calls whose id was used with other arguments.
	reused prometheus.Counter
}

// New checks o and returns a worker that is not running yet.
func New(o Options) (*Worker, error) {
	if o.Log == nil || o.Pool == nil {
		return nil, errors.New("toolworker: log and pool are required")
	}
	if o.Slots == 0 {
		o.Slots = 32
	}
	if o.Grace == 0 {
		o.Grace = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	w := &Worker{opts: o, log: o.Log, logger: o.Logger.With("role", "toolworker"), reused: prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "parley", Subsystem: "toolworker", Name: "call_id_reused_total",
		Help: "Calls refused because their id was used with another tool or other arguments. Not zero is an alarm.",
	})}
	if o.Registerer != nil {
		if err := o.Registerer.Register(w.reused); err != nil {
			return nil, fmt.Errorf("toolworker: %w", err)
		}
	}
	return w, nil
}

// Run carries out calls until ctx ends, then takes nothing new, lets running
// calls finish for the grace period, and hands the rest to other workers.
func (w *Worker) Run(ctx context.Context) error {
	work, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	undo := context.AfterFunc(ctx, func() {
		t := time.NewTimer(w.opts.Grace)
		defer t.Stop()
		select {
		case <-t.C:
			abort()
		case <-work.Done():
		}
	})
	defer undo()
	session, err := w.connect(work)
	if err != nil {
		return err
	}
	defer session.close()
	free := make(chan struct{}, w.opts.Slots)
	acquire := func(ctx context.Context) (func(), error) {
		select {
		case free <- struct{}{}:
			return func() { <-free }, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	w.logger.Info("toolworker started", "slots", w.opts.Slots)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return w.log.Serve(gctx, work, events.StreamWork, eventlog.ToolConsumer(tasks.Server), acquire,
			func(ctx context.Context, d *eventlog.Delivery) { w.handle(ctx, session, d) },
			// A person's writes take turns at their task_owner row anyway; in the order
			// of the calls, "milk, eggs and bread" get their numbers as they were said.
			eventlog.InOrder(func(d *eventlog.Delivery) string { return events.PersonOf(d.Subject()) }))
	})
	if err := g.Wait(); err != nil {
		return fmt.Errorf("toolworker: %w", err)
	}
	w.logger.Info("toolworker stopped")
	return nil
}

// A session is a connection to a tool server, with the names of its tools.
type session struct {
	*mcp.ClientSession
	server *mcp.ServerSession
	tools  map[string]bool
}

// connect starts the built-in server and its client over an in-memory transport.
func (w *Worker) connect(ctx context.Context) (*session, error) {
	near, far := mcp.NewInMemoryTransports()
	server, err := tasks.New(w.opts.Pool, w.opts.Now, w.alarm).Connect(ctx, far, nil)
	if err != nil {
		return nil, fmt.Errorf("toolworker: tasks server: %w", err)
	}
	client, err := mcp.NewClient(&mcp.Implementation{Name: "parley-toolworker", Version: "1"}, nil).Connect(ctx, near, nil)
	if err != nil {
		return nil, fmt.Errorf("toolworker: tasks client: %w", err)
	}
	s := &session{ClientSession: client, server: server, tools: map[string]bool{}}
	for t, err := range client.Tools(ctx, nil) {
		if err != nil {
			return nil, fmt.Errorf("toolworker: tools of tasks: %w", err)
		}
		s.tools[t.Name] = true
	}
	return s, nil
}

func (s *session) close() {
	// Both ends are in this process; there is nobody to tell of an error.
	_ = s.Close()
	_ = s.server.Wait()
}

// handle answers one item and acknowledges it once the answer is stored.
func (w *Worker) handle(ctx context.Context, s *session, d *eventlog.Delivery) {
	release := d.Hold(nil)
	defer release()
	item, err := events.DecodeWorkItem(d.Data())
	if err != nil {
		w.unreadable(ctx, d, err)
		return
	}
	if err := d.Turn(ctx); err != nil {
		release()
		w.acked(d.Nak())
		return
	}
	if fault.Planted(fault.AckBeforeAnswer) {
		w.acked(d.Ack())
	}
	var answer *ledger.Answer
	err = w.persist(ctx, item, "call", func() (err error) {
		answer, err = w.answer(ctx, s, item, d.Lease().Delivery)
		return err
	})
	if err == nil {
		err = w.persist(ctx, item, "answer", func() error { return w.reply(ctx, item, answer) })
	}
	release()
	if err != nil {
		// Only shutdown ends here: another worker goes on at once.
		w.acked(d.Nak())
		return
	}
	if d.Lease().Delivery > maxDeliveries {
		if err := w.log.DeadLetter(ctx, d, "given up after many deliveries"); err != nil {
			w.logger.Error("dead letter", "err", err)
		}
	}
	w.acked(d.Ack())
	fault.At(fault.ToolAckAfter)
}

// unreadable gives up an item that no build has been able to read; until then
// it waits for one that can. Its headers name the call, whose ledger row is taken
// and answered like any other's: a run that waits for it must end.
func (w *Worker) unreadable(ctx context.Context, d *eventlog.Delivery, reason error) {
	w.logger.Error("unreadable work item", "seq", d.Lease().Sequence, "delivery", d.Lease().Delivery, "err", reason)
	if d.Lease().Delivery <= maxDeliveries {
		return
	}
	item := &events.WorkItem{
		UserID: events.UserID(d.Header(events.HeaderUser)), ConversationID: events.ConversationID(d.Header(events.HeaderConversation)),
		CallID: events.CallID(d.Header(events.HeaderID)), Server: tasks.Server,
	}
	if _, err := item.Ref(); err == nil && events.ValidID(item.CallID) {
		if err := w.refuse(ctx, item); err != nil {
			return // shutdown: another worker goes on
		}
	}
	if err := w.log.DeadLetter(ctx, d, reason.Error()); err != nil {
		w.logger.Error("dead letter", "err", err)
		return
	}
	w.acked(d.Ack())
}

// refuse takes the ledger row of a call that cannot be carried out, and answers.
func (w *Worker) refuse(ctx context.Context, item *events.WorkItem) error {
	var answer *ledger.Answer
	err := w.persist(ctx, item, "call", func() (err error) {
		answer, err = ledger.Refuse(ctx, w.opts.Pool, callOf(item), poisoned())
		return err
	})
	if err != nil {
		return err
	}
	return w.persist(ctx, item, "answer", func() error { return w.reply(ctx, item, answer) })
}

// poisoned is the refusal of a call that was given up.
func poisoned() events.ToolError {
	return events.ToolError{Code: events.ToolPoison, Message: "This call could not be carried out after many tries. It had no effect."}
}

// callOf is the call of an item as the ledger knows it.
func callOf(item *events.WorkItem) ledger.Call {
	return ledger.Call{
		UserID: item.UserID, CallID: item.CallID, Server: item.Server, Name: item.Name, Arguments: item.Arguments, By: item.By,
		ConversationID: item.ConversationID, RunID: item.RunID, Deadline: item.Deadline,
	}
}

func (w *Worker) acked(err error) {
	if err != nil {
		w.logger.Warn("work item will be redelivered", "err", err)
	}
}

// persist repeats f until it succeeds or ctx ends: an outage is waited out
// while the item's lease is renewed, because a nak would count as a delivery.
func (w *Worker) persist(ctx context.Context, item *events.WorkItem, what string, f func() error) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, maxWait) {
		err := f()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w.logger.Warn("waiting", "op", what, "call_id", item.CallID, "err", err)
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-t.C:
		}
	}
}

// alarm tells of a call whose id was used before, with another tool or other
// arguments: somebody else writes to work.>, or a bug. It is refused.
func (w *Worker) alarm(c ledger.Call) {
	w.reused.Inc()
	w.logger.Error("call id used with other arguments", "call_id", c.CallID, "run_id", c.RunID, "conversation_id", c.ConversationID)
}

// answer returns what became of the call. An error means that nothing is decided yet.
func (w *Worker) answer(ctx context.Context, s *session, item *events.WorkItem, delivery uint64) (*ledger.Answer, error) {
	call := callOf(item)
	if fault.Planted(fault.LedgerPerTry) {
		call.CallID += events.CallID(fmt.Sprintf("-%d", delivery))
	}
	refuse := func(code, message string) (*ledger.Answer, error) {
		return ledger.Refuse(ctx, w.opts.Pool, call, events.ToolError{Code: code, Message: message})
	}
	switch {
	case item.Revoke && fault.Planted(fault.RevokeWithoutRow):
		why := ledger.Revoked()
		return &ledger.Answer{Error: &why}, nil
	case item.Revoke:
		return ledger.Refuse(ctx, w.opts.Pool, call, ledger.Revoked())
	case delivery > maxDeliveries:
		return ledger.Refuse(ctx, w.opts.Pool, call, poisoned())
	case !s.tools[item.Name]:
		return refuse(events.ToolUnknown, fmt.Sprintf("There is no tool %q.", item.Name))
	case item.Arguments.Kind() != '{':
		return refuse(events.ToolBadArgs, fmt.Sprintf("The arguments of %s must be a JSON object.", item.Name))
	case !item.Deadline.IsZero() && !w.opts.Now().Before(item.Deadline):
		return ledger.Refuse(ctx, w.opts.Pool, call, ledger.DeadlinePassed())
	}
	res, err := s.CallTool(ctx, &mcp.CallToolParams{Meta: tasks.Meta(call), Name: item.Name, Arguments: item.Arguments})
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", item.Name, err)
	}
	a, err := tasks.Answer(res)
	if err != nil {
		return nil, err
	}
	return &a, nil
}

// reply stores the answer in the inbox. A full inbox is waited for.
func (w *Worker) reply(ctx context.Context, item *events.WorkItem, a *ledger.Answer) error {
	result, truncated := fit(a.Result)
	fault.At(fault.AnswerBefore)
	err := w.log.Enqueue(ctx, &events.Inbox{
		V: events.Version, ID: events.ResultID(item.CallID), UserID: item.UserID, ConversationID: item.ConversationID,
		Time: w.opts.Now().UTC().Truncate(time.Millisecond),
		Command: events.Result{
			CallID: item.CallID, RunID: item.RunID, OK: a.OK, Result: result, Error: a.Error,
			DurationMS: a.DurationMS, Truncated: truncated,
		},
	})
	if err != nil && !errors.Is(err, eventlog.ErrDuplicate) {
		return err
	}
	fault.At(fault.AnswerAfter)
	return nil
}

// fit cuts a result that is too large for the log. What is left of its text is
// a JSON string, for half a JSON value is none.
func fit(v jsontext.Value) (jsontext.Value, bool) {
	if len(v) <= events.MaxResult {
		return v, false
	}
	// Quoting may double the bytes, and a character may stand across the cut.
	text := strings.ToValidUTF8(string(v[:events.MaxResult/2-1]), "")
	quoted, err := jsontext.AppendQuote(nil, text)
	if err != nil && len(quoted) == 0 {
		return jsontext.Value(`""`), true
	}
	return quoted, true
}
