package agentworker

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/parleychat/parley/agentworker/openai"
	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// asking makes w ask a scripted model that writes one piece and then waits for
// its gate, and returns what reaches readers.
func asking(t *testing.T, w *Worker, gate chan struct{}) (*testkit.Model, <-chan *nats.Msg) {
	t.Helper()
	model := testkit.NewModel(t, func(int, testkit.ModelRequest) testkit.ModelReply {
		return testkit.ModelReply{Text: []string{"half ", "whole"}, Gate: gate}
	})
	client, err := openai.New(openai.Options{BaseURL: model.URL})
	if err != nil {
		t.Fatal(err)
	}
	w.opts.Model, w.rules.Tools = client, nil // the schemas of the rules' tools are none that travel
	seen := make(chan *nats.Msg, 16)
	sub, err := w.log.Conn().ChanSubscribe("delta.>", seen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	return model, seen
}

// decided returns the commit that follows from h's input and the fold as it is.
func decided(t *testing.T, h *handler) (*events.Commit, Decision) {
	t.Helper()
	d := h.decide(h.entry.state, h.in)
	c, err := h.build(h.in, d)
	if err != nil || d.Then != CallModel {
		t.Fatalf("%+v, %v", d, err)
	}
	return c, d
}

func TestModelIsAskedWhileTheCommitIsStored(t *testing.T) {
	t.Parallel()
	w, gate := newWorker(t), make(chan struct{}, 2)
	model, seen := asking(t, w, gate)
	h := w.handler(t, command("m1", lease(10, 1), events.Message{Text: "hi"}))
	ctx := testkit.Context(t)
	p, err := h.commit(ctx, h.decide)
	if err != nil || p.call == nil {
		t.Fatalf("%+v, %v", p, err)
	}
	gate <- struct{}{}
	gate <- struct{}{}
	<-p.call.done
	if err := w.log.Conn().Flush(); err != nil {
		t.Fatal(err)
	}
	if n := len(seen); n != 0 {
		t.Errorf("%d messages went out before anybody released the text", n)
	}
	out := h.callModel(ctx, p)
	if out.Err != nil || out.Text != "half whole" {
		t.Errorf("%+v", out)
	}
	var went *nats.Msg
	select {
	case went = <-seen:
	case <-ctx.Done():
		t.Fatal("nothing went out")
	}
	d, err := events.DecodeDelta(went.Data)
	if err != nil || d.Text != out.Text || d.Offset != 0 || d.RunID != run1 {
		t.Errorf("%+v, %v", d, err)
	}
	list := model.Requests()
	if len(list) != 1 || list[0].Messages[len(list[0].Messages)-1].Content != "hi" {
		t.Errorf("the model was asked %+v", list)
	}
}

// Whoever decided on a fold that was not the log's end after all takes the call back.
func TestCallAheadOfARefusedCommitIsGivenUp(t *testing.T) {
	t.Parallel()
	w, gate := newWorker(t), make(chan struct{}, 1)
	_, seen := asking(t, w, gate)
	gate <- struct{}{}
	w.handler(t, command("x1", lease(9, 1), events.Rename{Title: "ours"})).must(t)
	h := w.handler(t, command("m1", lease(10, 1), events.Message{Text: "hi"}))
	c, d := decided(t, h)
	overtaken(t, w)

	_, begun, err := h.append(testkit.Context(t), c, d)
	if !errors.Is(err, eventlog.ErrConflict) || begun != nil {
		t.Fatalf("stored on a stale fold: %v, %v", begun, err)
	}
	// A log that refuses again and again costs no more calls.
	if _, again, err := h.append(testkit.Context(t), c, d); err == nil || again != nil {
		t.Errorf("the second try: %v, %v", again, err)
	}
	h.close() // waits for the call, to which the model would never write its end
	if err := w.log.Conn().Flush(); err != nil {
		t.Fatal(err)
	}
	if n := len(seen); n != 0 {
		t.Errorf("%d messages went out", n)
	}
}

// overtaken stores a commit in the conversation that w does not know of.
func overtaken(t *testing.T, w *Worker) {
	t.Helper()
	o := w.opts
	other, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	other.handler(t, command("x2", lease(11, 1), events.Rename{Title: "theirs"})).must(t)
}

func TestStaleFoldIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorker(t)
	asking(t, w, make(chan struct{}))
	w.handler(t, command("x1", lease(9, 1), events.Rename{Title: "ours"})).must(t)
	overtaken(t, w)
	h := w.handler(t, command("m1", lease(10, 1), events.Message{Text: "hi"}))
	h.must(t)
	if s := h.entry.state; s.N != 3 || s.Title != "theirs" || s.Active() == nil {
		t.Errorf("n %d, title %q, active %v", s.N, s.Title, s.Active())
	}
	// What is decided without a commit is decided on the log's end.
	overtakenBy := command("x2", lease(12, 1), events.Rename{Title: "theirs"})
	h = w.handler(t, overtakenBy)
	p, err := h.commit(testkit.Context(t), h.decide)
	if err != nil || p.Then != Ack || len(p.Events) != 0 {
		t.Errorf("an id that another worker has stored: %+v, %v", p, err)
	}
}

// Only who has looked before goes on without a look, and not after a redelivery.
func TestFirstDecisionLooks(t *testing.T) {
	t.Parallel()
	w := newWorker(t)
	asking(t, w, make(chan struct{}))
	for _, delivery := range []uint64{1, 2} {
		h := w.handler(t, command("m1", lease(10, delivery), events.Message{Text: "hi"}))
		if h.trusts() {
			t.Errorf("delivery %d: the first decision is taken without a look", delivery)
		}
		h.must(t)
		if h.trusts() != (delivery == 1) {
			t.Errorf("delivery %d: what follows is taken without a look: %t", delivery, h.trusts())
		}
	}
}

// Where a run ends in the same commit, the next one's call waits for what the
// first leaves in the history.
func TestCallThatFollowsAnAnswerIsToldIt(t *testing.T) {
	t.Parallel()
	w, gate := newWorker(t), make(chan struct{})
	model, _ := asking(t, w, gate)
	h, s, _ := streaming(t, w)
	select {
	case gate <- struct{}{}: // the model has the call that began ahead for m1
	case <-testkit.Context(t).Done():
		t.Fatal("the model is not asked")
	}
	w.handler(t, command("m2", lease(11, 1), events.Message{Text: "and then?"})).must(t)
	asked := len(model.Requests())
	p, err := h.commit(testkit.Context(t), func(c *events.Conversation, in Input) Decision {
		return w.rules.AfterModel(c, s.claim, Outcome{Completion: openai.Completion{Text: "first this", FinishReason: "stop"}}, in)
	})
	if err != nil || p.Then != CallModel || p.call != nil {
		t.Fatalf("%+v, %v", p, err)
	}
	if list := p.request.Messages; len(list) != 4 || list[2].Text != "first this" || list[3].Text != "and then?" {
		t.Errorf("the model would be told %+v", list)
	}
	if n := len(model.Requests()); n != asked {
		t.Errorf("the model has been asked ahead, %d times", n-asked)
	}
}
