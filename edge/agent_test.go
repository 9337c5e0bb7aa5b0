package edge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
)

// An agent answers every message by a script, as the only writer of the log. It
// is a small agent worker without a model: what it says is known beforehand.
type agent struct {
	t   testing.TB
	log *eventlog.Log

	// hold, if set, is asked for every message; the agent waits for the channel
	// before it goes on after step.started.
	mu     sync.Mutex
	hold   func(text string) <-chan struct{}
	drafts map[string]*events.Snapshot
	tasks  int64
}

func newAgent(t testing.TB, l *eventlog.Log) *agent {
	t.Helper()
	a := &agent{t: t, log: l, drafts: map[string]*events.Snapshot{}}
	ctx, cancel := context.WithCancel(context.Background())
	hard, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, consumer := range []string{eventlog.ConsumerMessages, eventlog.ConsumerControls} {
		wg.Go(func() {
			err := l.Serve(ctx, hard, events.StreamInbox, consumer,
				func(context.Context) (func(), error) { return func() {}, nil }, a.handle)
			if err != nil {
				t.Errorf("agent: %v", err)
			}
		})
	}
	unsubscribe, err := l.Subscribe("snapshot.>", a.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unsubscribe()
		cancel()
		l.Conn().Close() // ends pulls at once
		stop()           // and a commit that waits for its answer, else for ever
		wg.Wait()
	})
	return a
}

func (a *agent) snapshot(m *nats.Msg) {
	a.mu.Lock()
	d := a.drafts[strings.TrimPrefix(m.Subject, "snapshot.")]
	var b []byte
	if d != nil {
		b = d.Append(nil)
	}
	a.mu.Unlock()
	_ = m.Respond(b)
}

// handle does what one inbox message asks, in as many commits as it takes.
func (a *agent) handle(ctx context.Context, d *eventlog.Delivery) {
	in, err := events.DecodeInbox(d.Data())
	if err != nil {
		a.t.Errorf("agent: %v", err)
		return
	}
	r, err := in.Ref()
	if err != nil {
		a.t.Errorf("agent: %v", err)
		return
	}
	h := &hand{a: a, ref: r, in: in, lease: d.Lease()}
	if !h.load(ctx) {
		return
	}
	if !h.state.HasCause(in.ID) {
		h.act(ctx)
	}
	if ctx.Err() == nil {
		_ = d.Ack()
	}
}

// A hand is the agent at one conversation.
type hand struct {
	a     *agent
	ref   events.Ref
	in    *events.Inbox
	lease events.Lease
	state *events.Conversation
	seq   uint64
}

type noArchive struct{}

func (noArchive) Commits(context.Context, events.Ref, uint64, uint64) ([][]byte, error) {
	return nil, errors.New("no archive")
}

func (h *hand) load(ctx context.Context) bool {
	list, err := h.a.log.History(ctx, noArchive{}, h.ref, 0)
	if err != nil {
		return false // NATS is away; the message comes again
	}
	h.state, h.seq = events.NewConversation(h.ref), 0
	for _, s := range list {
		if err := h.state.Apply(s.Commit); err != nil {
			h.a.t.Errorf("agent: %v", err)
			return false
		}
		h.seq = s.Seq
	}
	return true
}

// commit appends events, folding again when someone was faster.
func (h *hand) commit(ctx context.Context, list ...events.Event) bool {
	for {
		c := &events.Commit{
			V: events.Version, ConversationID: h.ref.Conversation(), UserID: h.ref.User(), N: h.state.N + 1, Cause: h.in.ID,
			By: events.ByUser, Time: time.Now().UTC(), Events: list,
		}
		c.CommitID = must(events.CommitID(h.ref, c.N, "scripted", h.lease, list))
		seq, err := h.a.log.Append(ctx, c, h.seq)
		switch {
		case err == nil:
			h.seq = seq
			if err := h.state.Apply(c); err != nil {
				h.a.t.Errorf("agent: %v", err)
			}
			return true
		case errors.Is(err, eventlog.ErrConflict):
			if !h.load(ctx) {
				return false
			}
		default:
			return false
		}
	}
}

func (h *hand) act(ctx context.Context) {
	switch cmd := h.in.Command.(type) {
	case events.Message:
		h.answer(ctx, events.MessageAccepted{ParentID: cmd.ParentID, Text: cmd.Text, Model: cmd.Model, Timezone: cmd.Timezone})
	case events.Regenerate:
		src := h.state.Run(cmd.RunID)
		h.answer(ctx, events.MessageAccepted{ParentID: src.ParentID, Text: src.Message.Text, Regenerates: cmd.RunID})
	case events.CallTool:
		if h.held(ctx, "call "+cmd.Name) {
			h.callTool(ctx, cmd)
		}
	case events.Cancel:
		if r := h.state.Run(cmd.RunID); r != nil && r.Status.Over() {
			return
		}
		h.commit(ctx, events.RunCancelRequested{RunID: cmd.RunID, By: events.ByUser, Why: events.WhyUser})
		if r := h.state.Run(cmd.RunID); r != nil {
			h.commit(ctx, events.RunCancelled{RunID: cmd.RunID, Receipt: h.receipt(r)})
		}
	case events.Rename:
		h.commit(ctx, events.ConversationRenamed{Title: cmd.Title, By: events.ByUser})
	case events.Pin:
		h.commit(ctx, events.ConversationPinned{Pinned: cmd.Pinned})
	case events.Archive:
		h.commit(ctx, events.ConversationArchived{Archived: cmd.Archived})
	case events.Read:
		h.commit(ctx, events.ConversationRead{ReadN: cmd.ReadN})
	case events.Delete:
		h.commit(ctx, events.ConversationDeleted{})
	case events.Restore:
		h.commit(ctx, events.ConversationRestored{})
	case events.Rate:
		h.commit(ctx, events.MessageRated(cmd))
	default:
		h.a.t.Errorf("agent: command %T", cmd)
	}
}

// receipt says what a run has done so far.
func (h *hand) receipt(r *events.Run) (rec events.Receipt) {
	h.a.mu.Lock()
	if d := h.a.drafts[h.ref.String()]; d != nil && d.RunID == r.RunID {
		rec.Text = d.Text
	}
	h.a.mu.Unlock()
	for _, k := range r.Calls {
		if k.Status.Answered() {
			rec.Ran = append(rec.Ran, k.CallID)
		} else {
			rec.NotRun = append(rec.NotRun, k.CallID)
		}
	}
	return rec
}

// answer echoes the message, a word per delta. "tool …" calls a tool first,
// "ask …" asks the person, "hold …" waits for the test.
func (h *hand) answer(ctx context.Context, m events.MessageAccepted) {
	m.MessageID = events.MessageID(h.in.ID)
	m.RunID = events.RunIDFor(h.in.UserID, h.in.ConversationID, m.MessageID)
	if tip := h.state.Tip(); m.ParentID == "" && tip != nil {
		m.ParentID = tip.RunID
	} else if m.ParentID == events.Root {
		m.ParentID = ""
	}
	step := events.StepStarted{RunID: m.RunID, Step: 1, Attempt: 1, Lease: h.lease, Worker: "scripted"}
	if !h.commit(ctx, m, events.RunStarted{RunID: m.RunID, MessageID: m.MessageID, Model: "scripted", Deadline: time.Now().Add(time.Minute)}, step) {
		return
	}
	n := 1
	if strings.HasPrefix(m.Text, "tool ") || strings.HasPrefix(m.Text, "ask ") {
		call := events.CallIDFor(m.RunID, 1, 0)
		args := jsontext.Value(`{"title":"milk"}`)
		list := []events.Event{events.StepCompleted{RunID: m.RunID, Step: 1, Attempt: 1, ToolCalls: []events.ToolCall{{CallID: call, Name: "add_task", Arguments: args}}, FinishReason: "tool_calls"}}
		if strings.HasPrefix(m.Text, "ask ") {
			h.commit(ctx, append(list, events.ApprovalRequested{CallID: call, RunID: m.RunID, ExpiresAt: time.Now().Add(time.Hour)})...)
			return
		}
		h.commit(ctx, append(list, events.ToolCalled{CallID: call, RunID: m.RunID, Server: "tasks", Name: "add_task", Arguments: args, By: events.ByModel, Deadline: time.Now().Add(time.Minute)})...)
		n = 2
		h.commit(ctx, events.ToolReturned{CallID: call, RunID: m.RunID, OK: true, Result: h.a.row("milk"), DurationMS: 3},
			events.StepStarted{RunID: m.RunID, Step: 2, Attempt: 1, Lease: h.lease, Worker: "scripted"})
	}
	if !h.held(ctx, m.Text) {
		return
	}
	text := "You said: " + m.Text
	h.a.stream(h.ref, m.RunID, n, 1, text)
	h.commit(ctx, events.StepCompleted{RunID: m.RunID, Step: n, Attempt: 1, Text: text, FinishReason: "stop", Usage: events.Usage{InputTokens: 3, OutputTokens: 4}},
		events.RunCompleted{RunID: m.RunID, Usage: events.Usage{InputTokens: 3, OutputTokens: 4}})
	h.a.mu.Lock()
	delete(h.a.drafts, h.ref.String())
	h.a.mu.Unlock()
}

// held waits as long as the test says; it reports false when ctx ends first.
func (h *hand) held(ctx context.Context, what string) bool {
	h.a.mu.Lock()
	hold := h.a.hold
	h.a.mu.Unlock()
	if hold == nil {
		return true
	}
	c := hold(what)
	if c == nil {
		return true
	}
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// stream publishes text as deltas, word by word.
func (a *agent) stream(r events.Ref, run events.RunID, step, attempt int, text string) {
	offset := 0
	for _, word := range strings.SplitAfter(text, " ") {
		a.delta(r, events.Delta{ConversationID: r.Conversation(), RunID: run, Step: step, Attempt: attempt, Offset: offset, Text: word})
		offset += len(word)
	}
}

// delta publishes one piece and remembers the text for snapshots.
func (a *agent) delta(r events.Ref, d events.Delta) {
	a.remember(r, d)
	if err := a.log.Publish(r.Delta(), d.Append(nil)); err != nil {
		a.t.Logf("agent: delta: %v", err)
	}
}

// remember does what delta does but for the publish: the piece is lost on its way.
func (a *agent) remember(r events.Ref, d events.Delta) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.drafts[r.String()]
	if s == nil || d.Offset == 0 {
		s = &events.Snapshot{ConversationID: d.ConversationID, RunID: d.RunID, Step: d.Step, Attempt: d.Attempt}
		a.drafts[r.String()] = s
	}
	s.Text += d.Text
}

func (a *agent) row(title string) jsontext.Value {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tasks++
	return jsontext.Value(fmt.Sprintf(`{"task":{"task_id":%d,"title":%q,"task_rev":%d}}`, a.tasks, title, a.tasks))
}

func (h *hand) callTool(ctx context.Context, cmd events.CallTool) {
	id := events.HandCallID(h.in.UserID, h.in.ID)
	h.commit(ctx, events.ToolCalled{CallID: id, Server: cmd.Server, Name: cmd.Name, Arguments: cmd.Arguments, By: events.ByUser, Deadline: time.Now().Add(time.Minute)})
	e := events.ToolReturned{CallID: id, OK: true, Result: h.a.row("by hand"), DurationMS: 2}
	if cmd.Name == "restore_task" {
		e.OK, e.Result, e.Error = false, nil, &events.ToolError{Code: events.ToolFailed, Message: "There is no task 7."}
	}
	h.commit(ctx, e)
}
