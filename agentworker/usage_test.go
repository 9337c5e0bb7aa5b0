package agentworker_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parleychat/parley/agentworker"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// The attempts of a step that its provider cut count for the worker that goes on:
// it knows them. Texts are estimated, a token for every four bytes.
func TestUsageCountsTheAttemptsThatWereCut(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(n int, _ testkit.ModelRequest) testkit.ModelReply {
		switch n {
		case 0, 1:
			return testkit.ModelReply{Text: []string{"half a word"}, Cut: true}
		case 2:
			return testkit.ModelReply{Text: []string{"let me see"}, Calls: [][2]string{{"no_such", `{}`}}, Usage: [2]int{1000, 30}}
		default:
			return testkit.ModelReply{Text: []string{"whole"}, Usage: [2]int{2000, 40}}
		}
	})
	b.start()
	r := ref(t, "ana", "c1")
	b.send(r, "m1", events.Message{Text: "hi"})
	run := b.wait(r, ended).Tip()
	if run.Status != events.Completed || len(run.Steps) != 2 || run.Attempt != 1 {
		t.Fatalf("run = %+v", run)
	}
	first, second := run.Steps[0].Usage, run.Steps[1].Usage
	if first.OutputTokens != 3+3+30 || first.InputTokens <= 1000 || !first.Estimated {
		t.Errorf("the step of three attempts used %+v", first)
	}
	if second != (events.Usage{InputTokens: 2000, OutputTokens: 40}) {
		t.Errorf("the step of one attempt used %+v", second)
	}
	if run.Usage != first.Add(second) {
		t.Errorf("the run used %+v", run.Usage)
	}
}

func TestUsageCountsAllAttemptsOfARunThatFailed(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(int, testkit.ModelRequest) testkit.ModelReply {
		return testkit.ModelReply{Text: []string{"half a word"}, Cut: true}
	})
	b.start()
	r := ref(t, "ana", "c1")
	b.send(r, "m1", events.Message{Text: "hi"})
	if run := b.wait(r, ended).Tip(); run.Status != events.Failed || run.Usage.OutputTokens != 9 || !run.Usage.Estimated {
		t.Errorf("%s with %+v", run.Status, run.Usage)
	}
}

// An attempt that a worker hands over counts for nobody, as one that died with it:
// what it used is not in the log.
func TestUsageLeavesOutWhatWasHandedOver(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{}, 1)
	gate <- struct{}{}
	b := newBench(t, func(n int, _ testkit.ModelRequest) testkit.ModelReply {
		if n == 0 {
			return testkit.ModelReply{Text: []string{"so far ", "never"}, Gate: gate}
		}
		return testkit.ModelReply{Text: []string{"whole"}, Usage: [2]int{10, 3}}
	})
	r, begun := ref(t, "ana", "c1"), make(chan struct{}, 8)
	unsubscribe, err := b.log.Subscribe(r.Delta(), func(*nats.Msg) { begun <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	defer unsubscribe()
	brief := func(o *agentworker.Options) { o.Grace = time.Millisecond }
	stop := b.start(brief)
	b.send(r, "m1", events.Message{Text: "hi"})
	<-begun
	stop()
	b.start(brief)
	run := b.wait(r, ended).Tip()
	if run.Interruptions != 1 || run.Usage != (events.Usage{InputTokens: 10, OutputTokens: 3}) {
		t.Errorf("%s with %+v after %d interruptions", run.Status, run.Usage, run.Interruptions)
	}
}
