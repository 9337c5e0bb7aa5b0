package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parleychat/parley/events"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A court makes evidence of a small world in which all is well: Ana said "m1",
// the model called a tool and answered; she said "m2" and stopped it.
type court struct {
	t  *testing.T
	e  *evidence
	at place
}

const (
	ana = events.UserID("ana")
	bob = events.UserID("bob")
)

func newCourt(t *testing.T) *court {
	t.Helper()
	c := &court{t: t, at: place{ana, "c1"}, e: &evidence{
		Log: map[place][]logged{}, Archive: map[place][]archived{}, Conversations: map[place]conversationRow{},
		RunBodies: map[runPlace]string{}, Queues: map[string]uint64{"INBOX": 0}, Quiet: true,
		Canaries: map[events.UserID]string{ana: "canary-a", bob: "canary-b"},
	}}
	r1, r2 := c.run("m1"), c.run("m2")
	lease := events.Lease{Stream: "INBOX", Sequence: 1, Delivery: 1}
	id := events.CallIDFor(r1, 1, 0)
	result := `{"task":{"task_id":1}}`
	c.commit("m1", "w1", lease,
		events.MessageAccepted{MessageID: "m1", RunID: r1, Text: "m1 canary-a add 1"}, events.RunStarted{RunID: r1},
		events.StepStarted{RunID: r1, Step: 1, Attempt: 1, Lease: lease, Worker: "w1"})
	c.commit("m1", "w1", lease, events.StepCompleted{RunID: r1, Step: 1, Attempt: 1, ToolCalls: []events.ToolCall{{CallID: id, Name: "add_task", Arguments: []byte("{}")}}},
		events.ToolCalled{CallID: id, RunID: r1, Server: "tasks", Name: "add_task", Arguments: []byte("{}")})
	c.commit(events.ResultID(id), "w1", lease, events.ToolReturned{CallID: id, RunID: r1, OK: true, Result: []byte(result)},
		events.StepStarted{RunID: r1, Step: 2, Attempt: 1, Lease: lease, Worker: "w1"})
	c.commit(events.ResultID(id), "w1", lease, events.StepCompleted{RunID: r1, Step: 2, Attempt: 1, Text: "canary-a done"}, events.RunCompleted{RunID: r1})
	c.commit("m2", "w2", lease, events.MessageAccepted{MessageID: "m2", RunID: r2, ParentID: r1, Text: "m2 canary-a slow 9"}, events.RunStarted{RunID: r2},
		events.StepStarted{RunID: r2, Step: 1, Attempt: 1, Lease: lease, Worker: "w2"})
	c.commit("x1", "w1", lease, events.RunCancelRequested{RunID: r2, By: events.ByUser, Why: events.WhyUser})
	c.commit("m2", "w2", lease, events.RunCancelled{RunID: r2, Receipt: events.Receipt{Text: "canary-a half"}})

	c.e.Ledger = []ledgerRow{{callPlace: callPlace{ana, id}, Conversation: "c1", Run: r1, Name: "add_task", State: "done", OK: true, Result: result}}
	c.e.History = []historyRow{{User: ana, Rev: 1, TaskID: 1, Tool: "add_task", Call: id, Run: r1, At: epoch, Row: `{"title":"canary-a milk"}`}}
	c.e.Tasks = []taskRow{{User: ana, TaskID: 1, Rev: 1}}
	c.e.Model = []modelRequest{
		{Number: 0, Marker: "m1", Step: 1, Begun: epoch, Outcome: outcomeWhole},
		{Number: 1, Marker: "m1", Step: 2, Begun: epoch, Text: "canary-a done", Outcome: outcomeWhole},
		{Number: 2, Marker: "m2", Step: 1, Begun: epoch, Text: "canary-a half and half", Outcome: outcomeGone},
	}
	sent := func(id string, second int, verdict, code string) request {
		from := epoch.Add(time.Duration(second) * time.Second)
		return request{
			User: ana, ID: id, Kind: kindMessage, Conversation: "c1", Text: id + " canary-a say 1",
			Tries: []try{{Begun: from, Ended: from.Add(time.Millisecond), Verdict: verdict, Code: code}},
		}
	}
	c.e.Requests = []request{sent("m1", 0, accepted, ""), sent("m2", 2, accepted, ""), sent("m3", 3, refused, "too_many"), sent("m4", 4, unknown, "")}
	c.retell()
	return c
}

func (c *court) run(m events.MessageID) events.RunID {
	return events.RunIDFor(c.at.User, c.at.Conversation, m)
}

// commit adds a commit to the log.
func (c *court) commit(cause, worker string, l events.Lease, list ...events.Event) {
	c.t.Helper()
	ref, err := events.NewRef(c.at.User, c.at.Conversation)
	if err != nil {
		c.t.Fatal(err)
	}
	n := uint64(len(c.e.Log[c.at]) + 1)
	id, err := events.CommitID(ref, n, worker, l, list)
	if err != nil {
		c.t.Fatal(err)
	}
	k := &events.Commit{
		V: events.Version, ConversationID: c.at.Conversation, UserID: c.at.User, N: n, CommitID: id, Cause: cause, By: events.ByUser,
		Time: epoch.Add(time.Duration(n) * time.Second), Events: list,
	}
	raw, err := k.Encode()
	if err != nil {
		c.t.Fatal(err)
	}
	if k, err = events.DecodeCommit(raw); err != nil {
		c.t.Fatal(err)
	}
	c.e.Log[c.at] = append(c.e.Log[c.at], logged{Seq: n, Raw: string(raw), Commit: k, Stored: k.Time})
}

// retell makes archive, read models and a device that agree with the log.
func (c *court) retell() {
	c.t.Helper()
	v, err := newView(c.at.User, c.at.Conversation)
	if err != nil {
		c.t.Fatal(err)
	}
	v.subscribed = 2
	c.e.Archive[c.at] = nil
	for _, l := range c.e.Log[c.at] {
		v.commit([]byte(l.Raw), l.Commit.N)
		c.e.Archive[c.at] = append(c.e.Archive[c.at], archived{l.Commit.N, l.Raw, true, true})
	}
	c.e.Conversations[c.at] = conversationRow{N: v.state.N}
	for _, r := range v.state.Runs {
		b, err := json.Marshal(r)
		if err != nil {
			c.t.Fatal(err)
		}
		c.e.RunBodies[runPlace{c.at, r.RunID}] = string(b)
	}
	rec := v.finish()
	rec.Drafts = []draftRecord{{Run: c.run("m1"), Step: 2, Attempt: 1, Text: "canary-a do"}, {Run: c.run("m2"), Step: 1, Attempt: 1, Text: "canary-a h"}}
	c.e.Devices = []deviceRecord{{Name: "page", User: ana, Views: map[events.ConversationID]*viewRecord{"c1": rec}}}
}

func (c *court) view() *viewRecord { return c.e.Devices[0].Views["c1"] }

func TestNothingToComplainAbout(t *testing.T) {
	t.Parallel()
	for _, v := range judge(newCourt(t).e) {
		t.Error(v)
	}
}

// Each case spoils one thing, and the check that answers for it must notice.
func TestChecksNotice(t *testing.T) {
	t.Parallel()
	lease := events.Lease{Stream: "INBOX", Sequence: 9, Delivery: 1}
	for _, k := range []struct {
		check, name, says string
		spoil             func(c *court)
	}{
		{"I1", "an accepted message is lost", "nowhere in the log", func(c *court) { c.e.Requests[2].Tries[0].Verdict = accepted }},
		{"I1", "a run never ends", "has 0 terminal", func(c *court) { c.e.Log[c.at] = c.e.Log[c.at][:6]; c.retell() }},
		{"I1", "a run ends twice", "has 2 terminal", func(c *court) { c.commit("m2", "w9", lease, events.RunCompleted{RunID: c.run("m2")}); c.retell() }},
		{"I1", "a call stays open", "never answered", func(c *court) { c.e.Log[c.at] = c.e.Log[c.at][:2]; c.retell() }},
		{"I1", "a queue is left over", "WORK", func(c *court) { c.e.Queues["WORK"] = 1 }},
		{"I1", "no rest", "come to rest", func(c *court) { c.e.Quiet = false }},
		{"I1", "a message is given up", "poison", func(c *court) { c.e.Dead = []string{"message m9"} }},
		{"I1", "an accepted call by hand is lost", "by hand", func(c *court) {
			c.e.Requests = append(c.e.Requests, request{User: ana, ID: "h1", Kind: kindCall, Conversation: events.Home, Tries: []try{{Verdict: accepted}}})
		}},
		{"I1", "a delivery that is not newer takes over", "no newer one", func(c *court) {
			c.e.Log[c.at] = c.e.Log[c.at][:5]
			c.takeover(1, "w9")
		}},
		{"I1", "another message takes over", "no newer one", func(c *court) {
			c.e.Log[c.at] = c.e.Log[c.at][:5]
			c.commit("m2", "w9", lease, events.StepStarted{RunID: c.run("m2"), Step: 1, Attempt: 2, Lease: lease, Worker: "w9"})
			c.retell()
		}},
		{"I1", "a healthy worker is robbed", "nothing had happened", func(c *court) {
			c.e.Log[c.at] = c.e.Log[c.at][:5]
			c.takeover(2, "w9")
		}},
		{"I1", "a deadline is not set", "never scheduled", func(c *court) {
			c.e.TimersAt = epoch
			c.e.Log[c.at] = nil
			r := c.run("m1")
			c.commit("m1", "w1", lease, events.MessageAccepted{MessageID: "m1", RunID: r, Text: "m1 canary-a say 1"},
				events.RunStarted{RunID: r, Deadline: epoch.Add(time.Hour)}, events.StepStarted{RunID: r, Step: 1, Attempt: 1, Lease: lease, Worker: "w1"},
				events.StepCompleted{RunID: r, Step: 1, Attempt: 1, Text: "canary-a done"}, events.RunCompleted{RunID: r})
			c.retell()
		}},
		{"I2", "an effect is doubled", "2 effects", func(c *court) {
			h := c.e.History[0]
			h.Rev, h.TaskID = 2, 2
			c.e.History, c.e.Tasks = append(c.e.History, h), append(c.e.Tasks, taskRow{User: ana, TaskID: 2, Rev: 2})
		}},
		{"I2", "ok without an effect", "0 effects", func(c *court) { c.e.History, c.e.Tasks = nil, nil }},
		{"I2", "ok without a ledger row", `ledger says ""`, func(c *court) { c.e.Ledger = nil }},
		{"I2", "an effect of a call that failed", "no ledger row that says so", func(c *court) { c.e.Ledger[0].OK = false }},
		{"I2", "another result than the ledger's", "something else", func(c *court) { c.e.Ledger[0].Result = "{}" }},
		{"I2", "a ledger row of nobody", "does not know", func(c *court) {
			c.e.Ledger = append(c.e.Ledger, ledgerRow{callPlace: callPlace{ana, "ghost"}, State: "revoked"})
		}},
		{"I2", "an intent that was left", "intent", func(c *court) { c.e.Ledger[0].State = "intent" }},
		{"I2", "a call answered twice", "answered again", func(c *court) {
			c.commit("r2", "w9", lease, events.ToolReturned{CallID: events.CallIDFor(c.run("m1"), 1, 0), RunID: c.run("m1"), OK: true})
			c.retell()
		}},
		{"I2", "a revision is missing", "revision 2", func(c *court) { c.e.History[0].Rev, c.e.Tasks[0].Rev = 2, 2 }},
		{"I2", "a task went another way than its history", "its history at 1", func(c *court) { c.e.Tasks[0].Rev = 7 }},
		{"I2", "a task is gone", "is not there", func(c *court) { c.e.Tasks = nil }},
		{"I3", "half an answer counts as whole", "no whole answer", func(c *court) { c.e.Model[1].Text = "canary-a done and more" }},
		{"I3", "another message's answer", "the answer to step", func(c *court) { c.e.Model[1].Marker = "m7" }},
		{"I3", "a reader shows another text", "shows another text", func(c *court) { c.view().Texts[c.run("m1")] = "canary-a donedone" }},
		{"I3", "what streamed was doubled", "while step 2", func(c *court) { c.view().Drafts[0].Text = "canary-a canary-a do" }},
		{"I3", "a receipt without the text that was seen", "which kept", func(c *court) { c.view().Drafts[1].Text = "canary-a half an" }},
		{"I3", "a hole that stays", "lacked bytes", func(c *court) { c.view().Drafts[0].HoleFor = 2 * time.Second }},
		{"I3", "a text that nobody saw coming", "saw 2 of 13 bytes", func(c *court) {
			c.e.Model[1].Ended = epoch.Add(3 * time.Second)
			c.view().Drafts[0].Text, c.view().Drafts[0].Watched = "ca", 2*time.Second
		}},
		{"I3", "an HTTP answer says something else", "an answer by", func(c *court) {
			c.e.Requests[0].Tries[0].Answer = &answered{Conversation: "c1", Run: c.run("m1"), Status: events.Completed, Text: "canary-a don"}
		}},
		{"I3", "an HTTP answer has another end", "says failed", func(c *court) {
			c.e.Requests[0].Tries[0].Answer = &answered{Conversation: "c1", Run: c.run("m1"), Status: events.Failed, Text: "canary-a done"}
		}},
		{"I3", "Postgres shows another text", "Postgres shows", func(c *court) {
			k := runPlace{c.at, c.run("m1")}
			c.e.RunBodies[k] = strings.ReplaceAll(c.e.RunBodies[k], "canary-a done", "canary-a dine")
		}},
		{"I4", "a number twice", "stands where", func(c *court) {
			l := c.e.Log[c.at]
			l = append(l, l[6])
			c.e.Log[c.at] = l
		}},
		{"I4", "two runs at once", "run.started in commit", func(c *court) {
			c.commit("m4", "w9", lease, events.MessageAccepted{MessageID: "m4", RunID: c.run("m4")}, events.RunStarted{RunID: c.run("m4")})
			c.commit("m5", "w9", lease, events.MessageAccepted{MessageID: "m5", RunID: c.run("m5")}, events.RunStarted{RunID: c.run("m5")})
			c.retell()
		}},
		{"I4", "a message accepted twice", "accepted again", func(c *court) {
			c.commit("m1", "w9", lease, events.MessageAccepted{MessageID: "m1", RunID: c.run("m1")})
			c.retell()
		}},
		{"I4", "a step that nobody opened", "is completed in commit", func(c *court) {
			c.commit("m4", "w9", lease, events.MessageAccepted{MessageID: "m4", RunID: c.run("m4")}, events.RunStarted{RunID: c.run("m4")},
				events.StepCompleted{RunID: c.run("m4"), Step: 3, Attempt: 1})
			c.retell()
		}},
		{"I4", "a reader has less", "of 7 commits", func(c *court) { c.view().Hashes = c.view().Hashes[:5] }},
		{"I4", "a reader has another commit", "another commit 3", func(c *court) { c.view().Hashes[2][0] ^= 1 }},
		{"I4", "a reader saw a jump", "followed", func(c *court) { c.view().Disorder = []string{"commit 5 followed 3"} }},
		{"I4", "messages change places", "stands behind it", func(c *court) {
			c.e.Requests[0], c.e.Requests[1] = sentAt(c.e.Requests[1], 0), sentAt(c.e.Requests[0], 2)
		}},
		{"I5", "a step after the end", "after the run ended", func(c *court) {
			c.commit("m2", "w9", lease, events.StepStarted{RunID: c.run("m2"), Step: 1, Attempt: 2, Lease: lease, Worker: "w9"})
			c.retell()
		}},
		{"I5", "an answer is finished after the stop", "asked to stop", func(c *court) {
			c.e.Log[c.at] = c.e.Log[c.at][:6]
			c.commit("m2", "w2", lease, events.StepCompleted{RunID: c.run("m2"), Step: 1, Attempt: 1, Text: "canary-a half and half"}, events.RunCompleted{RunID: c.run("m2")})
			c.retell()
		}},
		{"I5", "an effect after the end", "took effect", func(c *court) { c.e.History[0].At = epoch.Add(time.Minute) }},
		{"I5", "a receipt with a call that did not run", "the ledger says", func(c *court) { c.receipt(events.Receipt{Ran: []events.CallID{"ghost"}}) }},
		{"I5", "a receipt denies an effect", "it has an effect", func(c *court) {
			c.receipt(events.Receipt{NotRun: []events.CallID{events.CallIDFor(c.run("m1"), 1, 0)}})
		}},
		{"I5", "the model is asked after the end", "was asked about message m2", func(c *court) {
			c.e.Model = append(c.e.Model, modelRequest{Number: 3, Marker: "m2", Step: 1, Begun: epoch.Add(time.Minute)})
		}},
		{"I6", "a commit is not archived", "6 of 7", func(c *court) { c.e.Archive[c.at] = c.e.Archive[c.at][:6] }},
		{"I6", "an altered commit", "differs from the log", func(c *court) {
			a := &c.e.Archive[c.at][3]
			a.Raw = strings.Replace(a.Raw, "done", "dine", 1)
		}},
		{"I6", "a hash that does not fit", "does not fit", func(c *court) { c.e.Archive[c.at][3].HashOK = false }},
		{"I6", "a row that is behind", "row is at commit 3", func(c *court) { c.e.Conversations[c.at] = conversationRow{N: 3} }},
		{"I6", "a run's row is stale", "not what the archive folds to", func(c *court) { c.e.RunBodies[runPlace{c.at, c.run("m2")}] = "{}" }},
		{"I6", "parley verify found differences", "3 differences", func(c *court) { c.e.Verified = "3 differences" }},
		{"I6", "messages put aside", "aside", func(c *court) { c.e.Rejected = 1 }},
		{"I6", "a conversation from nowhere", "the log does not have", func(c *court) { c.e.Archive[place{bob, "c9"}] = []archived{{N: 1}} }},
		{"I7", "a frame of another person", "page got", func(c *court) { c.e.Devices[0].Foreign = []string{"canary-b in {}"} }},
		{"I7", "another person's words in the log", "which is another's", func(c *court) { c.e.Canaries[ana] = "canary-z" }},
		{"I7", "another person's conversation was shown", "was answered with 200", func(c *court) {
			c.e.Requests = append(c.e.Requests, request{User: ana, ID: "p1", Kind: kindForeign, Foreign: true, Tries: []try{{Verdict: accepted, Status: 200}}})
		}},
		{"I7", "another person's task", "a task of", func(c *court) { c.e.History[0].Row = `{"title":"canary-b"}` }},
		{"I8", "a refused message is in the log", "stands in the log", func(c *court) { c.e.Requests[1].Tries[0] = try{Verdict: refused, Code: "too_many"} }},
		{"I8", "a message answered with 503 is in the log", "refused (unavailable) and stands in the log", func(c *court) {
			c.e.Requests[1].Tries[0] = try{Verdict: verdictOf(503, "unavailable"), Status: 503, Code: "unavailable"}
		}},
		{"I8", "a refused command is a cause", "is the cause of a commit", func(c *court) {
			c.e.Requests = append(c.e.Requests, request{User: ana, ID: "x1", Kind: kindOther, Conversation: "c1", Text: "x1", Tries: []try{{Verdict: refused, Code: "draining"}}})
		}},
		{"I8", "the model was asked about a refused message", "the model was asked", func(c *court) {
			c.e.Model = append(c.e.Model, modelRequest{Number: 3, Marker: "m3", Begun: epoch})
		}},
		{"I8", "a refused call has a ledger row", "has a ledger row", func(c *court) {
			c.e.Requests = append(c.e.Requests, request{User: ana, ID: "h1", Kind: kindCall, Conversation: events.Home, Tries: []try{{Verdict: refused, Code: "too_many"}}})
			c.e.Ledger = append(c.e.Ledger, ledgerRow{callPlace: callPlace{ana, events.HandCallID(ana, "h1")}, State: "done"})
		}},
		{"panic", "a process panicked", "index out of range", func(c *court) { c.e.Panics = []string{"edge-1: panic: index out of range"} }},
	} {
		if !slices.Contains(checks, k.check) {
			t.Errorf("%s is no check", k.check)
		}
		t.Run(k.check+" "+k.name, func(t *testing.T) {
			t.Parallel()
			c := newCourt(t)
			k.spoil(c)
			list := judge(c.e)
			for _, v := range list {
				if v.Check == k.check && strings.Contains(v.What, k.says) {
					return
				}
			}
			t.Errorf("no violation of %s says %q: %v", k.check, k.says, list)
		})
	}
}

// takeover begins a second attempt of the second run.
func (c *court) takeover(delivery uint64, worker string) {
	c.t.Helper()
	l := events.Lease{Stream: "INBOX", Sequence: 1, Delivery: delivery}
	c.commit("m2", worker, l, events.StepStarted{RunID: c.run("m2"), Step: 1, Attempt: 2, Lease: l, Worker: worker})
	c.commit("m2", worker, l, events.StepCompleted{RunID: c.run("m2"), Step: 1, Attempt: 2, Text: "canary-a half and half"}, events.RunCompleted{RunID: c.run("m2")})
	c.retell()
	c.view().Drafts = nil
}

// sentAt moves a request to another second.
func sentAt(r request, second int) request {
	from := epoch.Add(time.Duration(second) * time.Second)
	r.Tries = []try{{Begun: from, Ended: from.Add(time.Millisecond), Verdict: accepted}}
	return r
}

// receipt ends the second run with another receipt.
func (c *court) receipt(r events.Receipt) {
	c.t.Helper()
	c.e.Log[c.at] = c.e.Log[c.at][:6]
	c.commit("m2", "w2", events.Lease{Stream: "INBOX", Sequence: 1, Delivery: 1}, events.RunCancelled{RunID: c.run("m2"), Receipt: r})
	c.retell()
}

// What the checks must not complain about.
func TestChecksKnowWhatIsAllowed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(c *court){
		"an unknown message that was stored": func(c *court) {
			lease := events.Lease{Stream: "INBOX", Sequence: 9, Delivery: 1}
			c.commit("m4", "w1", lease, events.MessageAccepted{MessageID: "m4", RunID: c.run("m4"), Text: "m4"}, events.RunCancelled{RunID: c.run("m4")})
			c.retell()
		},
		"a request by a worker that was paused": func(c *court) {
			woke := epoch.Add(time.Minute)
			c.e.Model = append(c.e.Model, modelRequest{Number: 3, Marker: "m2", Step: 1, Begun: woke.Add(time.Second)})
			c.e.Faults = []span{{faultPause, roleAgent, epoch, woke}}
		},
		"a takeover after a fault": func(c *court) {
			c.e.Log[c.at] = c.e.Log[c.at][:5]
			c.takeover(2, "w9")
			c.e.Faults = []span{{faultKill, roleAgent, epoch.Add(5 * time.Second), epoch.Add(6 * time.Second)}}
		},
		"another try by the holder itself": func(c *court) {
			c.e.Log[c.at] = c.e.Log[c.at][:5]
			c.takeover(1, "w2")
		},
		"a text that lagged behind a fault": func(c *court) {
			c.e.Model[1].Ended = epoch.Add(3 * time.Second)
			c.view().Drafts[0].Text, c.view().Drafts[0].Watched = "ca", 2*time.Second
			c.e.Faults = []span{{faultKill, roleNATS, epoch, epoch.Add(time.Second)}}
		},
		"a refusal of an id that another request made good": func(c *court) {
			c.e.Requests = append(c.e.Requests, request{User: ana, ID: "m1", Kind: kindBad, Conversation: "c1", Text: "m9 canary-a say 3", Tries: []try{{Verdict: refused, Code: "key_reused"}}})
		},
		"a text that nobody could keep": func(c *court) {
			c.e.Log[c.at] = c.e.Log[c.at][:6]
			c.commit("m2", "w3", events.Lease{Stream: "INBOX", Sequence: 1, Delivery: 2}, events.RunCancelled{RunID: c.run("m2")})
			c.retell()
		},
		"a refusal of an id that another person made good": func(c *court) {
			c.e.Requests = append(c.e.Requests, request{User: bob, ID: "m1", Kind: kindMessage, Conversation: "c2", Text: "m1 canary-b", Tries: []try{{Verdict: refused, Code: "not_sent"}}})
		},
		"the same id of another person": func(c *court) {
			c.e.Requests = append(c.e.Requests, request{User: bob, ID: "m1", Kind: kindMessage, Conversation: "c2", Text: "m1 canary-b", Tries: []try{{Verdict: unknown}}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCourt(t)
			change(c)
			for _, v := range judge(c.e) {
				t.Error(v)
			}
		})
	}
}

// A schedule is excused where NATS was killed just then, and told of all the same.
func TestForgottenSchedulesAreCounted(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct{ violations, forgotten int }{"": {1, 0}, roleAgent: {1, 0}, roleNATS: {0, 1}} {
		c := newCourt(t)
		r, lease := c.run("m1"), events.Lease{Stream: "INBOX", Sequence: 1, Delivery: 1}
		c.e.Log[c.at] = nil
		c.commit("m1", "w1", lease, events.MessageAccepted{MessageID: "m1", RunID: r, Text: "m1 canary-a say 1"},
			events.RunStarted{RunID: r, Deadline: epoch.Add(workingTime)}, events.StepStarted{RunID: r, Step: 1, Attempt: 1, Lease: lease, Worker: "w1"},
			events.StepCompleted{RunID: r, Step: 1, Attempt: 1, Text: "canary-a done"}, events.RunCompleted{RunID: r})
		c.e.TimersAt = epoch
		if name != "" {
			c.e.Faults = []span{{faultKill, name, epoch.Add(time.Second), epoch.Add(2 * time.Second)}}
		}
		tr := &trial{evidence: c.e, stories: map[place]*story{c.at: tell(c.at, c.e.Log[c.at])}}
		tr.deadlinesAreSet()
		if len(tr.list) != want.violations || c.e.Forgotten != want.forgotten {
			t.Errorf("%q killed: %v, %d forgotten", name, tr.list, c.e.Forgotten)
		}
	}
}

func TestVerdictOfManyTries(t *testing.T) {
	t.Parallel()
	for want, tries := range map[string][]string{
		accepted: {refused, unknown, accepted}, unknown: {refused, unknown, refused}, refused: {refused, refused},
	} {
		r := request{}
		for _, v := range tries {
			r.Tries = append(r.Tries, try{Verdict: v})
		}
		if got := r.verdict(); got != want {
			t.Errorf("verdict of %v is %s, want %s", tries, got, want)
		}
	}
	if v := (&request{}).verdict(); v != unknown {
		t.Errorf("verdict of nothing sent is %s", v)
	}
}

// Only what says so itself leaves open whether something was stored.
func TestVerdictOfAnAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int // 0 of a frame
		code   string
		want   string
	}{
		{503, "unavailable", refused},
		{0, "unavailable", refused},
		{503, "draining", refused},
		{0, "draining", refused},
		{429, "too_many", refused},
		{422, "key_reused", refused},
		{503, "", refused},
		{404, "not_found", refused},
		{504, "outcome_unknown", unknown},
		{0, "outcome_unknown", unknown},
		{504, "", unknown},
		{502, "", unknown},
		{500, "internal", unknown},
		{0, "internal", unknown},
	} {
		if got := verdictOf(tt.status, tt.code); got != tt.want {
			t.Errorf("%d %s is %s, want %s", tt.status, tt.code, got, tt.want)
		}
	}
}

func TestViolationNamesItsPlace(t *testing.T) {
	t.Parallel()
	v := violation{"I4", ana, "c1", "r1", "two at once"}
	if got, want := fmt.Sprint(v), "I4 ana/c1 run r1: two at once"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
