package events_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
)

const ada events.UserID = "ada"

// A golden is a story that is kept in testdata, with the sentence that opens its file.
type golden struct {
	name   string
	guards string
	tell   func(*story)
}

// begin tells the story in the conversation that its message "m1" starts, or at home.
func (g golden) begin(t testing.TB) *story {
	t.Helper()
	c := events.ConversationIDFor(ada, events.MessageID(g.name+"-m1"))
	if strings.HasPrefix(g.name, "home") {
		c = events.Home
	}
	s := tell(t, ada, c)
	g.tell(s)
	return s
}

func row(id int, title string, rev int) string {
	return fmt.Sprintf(`{"task":{"task_id":%d,"title":%q,"completed":false,"task_rev":%d}}`, id, title, rev)
}

var goldens = []golden{
	{"hello", "A message and a plain answer: the smallest whole run.", func(s *story) {
		s.say("m1", "Hello!", func(e *events.MessageAccepted) { e.Timezone = "Europe/Vienna" })
		s.keep(60)
		s.answer("Hello Ada. What shall we get done today?")
	}},
	{"tool", "One tool call with its result, and a second step that reports it.", func(s *story) {
		s.say("m1", "Remind me to buy milk")
		ids := s.call("I'll add that.", want{name: "add_task", args: `{"title":"Buy milk"}`})
		s.keep(60)
		s.returned(ids[0], row(1, "Buy milk", 1))
		s.answer("Done: **Buy milk** is task 1.")
	}},
	{"parallel", "Calls that run side by side, one of which fails, one is unknown and one waits its turn; the last answer begins the next step.", func(s *story) {
		s.say("m1", "Add bread, complete task 99, and list everything")
		ids := s.call("", want{name: "add_task", args: `{"title":"Bread"}`}, want{name: "complete_task", args: `{"task_id":99}`},
			want{name: "list_tasks", args: `{}`}, want{name: "fly_to_moon", args: `"not an object"`, refuse: events.ToolUnknown},
			want{name: "list_tasks", args: `{"status":"open"}`, hold: true})
		s.failed(ids[1], events.ToolFailed, "There is no task 99.")
		s.keep(60)
		s.returned(ids[2], `{"tasks":[]}`)
		s.receive("timer-turn", events.BySystem)
		s.commit(s.release(s.active(), ids[4], "list_tasks", `{"status":"open"}`))
		s.returned(ids[4], `[]`)
		s.returned(ids[0], row(2, "Bread", 7))
		s.answer("Bread is added. There is no task 99.")
	}},
	{"queue", "Messages sent while an answer runs wait, start one after the other in the commit that ends the run before, and one is cancelled while it waits.", func(s *story) {
		s.say("m1", "One")
		s.say("m2", "Two", func(e *events.MessageAccepted) { e.Model = "large" })
		three := s.say("m3", "Three")
		s.say("m4", "Four")
		s.keep(1)
		s.answer("First.")
		s.stop("c3", three, events.ByUser, events.WhyUser)
		s.answer("Second.")
		s.answer("Fourth.")
	}},
	{"stop-streaming", "A stop while the model writes: the text so far is kept in the receipt and becomes a partial step; a second stop changes nothing.", func(s *story) {
		run := s.say("m1", "Tell me a long story")
		s.stop("c1", run, events.ByUser, events.WhyUser)
		s.stop("c2", run, events.BySystem, events.WhyDeadline)
		s.keep(60)
		s.cut("Once upon a time there was a")
		s.say("m2", "Thanks, enough")
		s.answer("Good night.")
	}},
	{"stop-calls", "A stop with calls out: one has run, one is revoked, one still waited for a person; the last answer ends the run.", func(s *story) {
		run := s.say("m1", "Do three things")
		ids := s.call("On it.", want{name: "add_task", args: `{"title":"A"}`}, want{name: "add_task", args: `{"title":"B"}`},
			want{name: "delete_task", args: `{"task_id":1}`, ask: true})
		s.say("m2", "And another")
		s.stop("c1", run, events.ByUser, events.WhyUser)
		s.returned(ids[0], row(3, "A", 8))
		s.keep(60)
		s.failed(ids[1], events.ToolRevoked, "The run was stopped before this call began.")
		s.answer("That is all.")
	}},
	{"deadline", "A run whose working time is over ends as failed, with a receipt, by the path of a stop.", func(s *story) {
		run := s.say("m1", "Look everything up")
		ids := s.call("", want{name: "list_tasks", args: `{}`})
		s.now = s.now.Add(workingTime)
		s.stop(string(run)+"-1773480713589", run, events.BySystem, events.WhyDeadline)
		s.failed(ids[0], events.ToolDeadline, "Its time was over before it began.")
	}},
	{"poison", "A message that could not be handled is accepted and failed in one commit, without touching the run beside it.", func(s *story) {
		s.say("m1", "Fine")
		s.receive("m2", events.BySystem)
		s.lease.Delivery = 13
		run := s.run("m2")
		s.commit(events.MessageAccepted{MessageID: "m2", RunID: run, ParentID: s.run("m1"), Text: ""},
			events.RunFailed{RunID: run, Code: events.FailPoison, Message: "This message could not be handled after many tries."})
		s.keep(1)
		s.answer("Still fine.")
	}},
	{"tombstone", "A cancel that overtakes its message: the message, when it comes, is accepted and cancelled at once.", func(s *story) {
		s.stop("c1", s.run("m1"), events.ByUser, events.WhyUser)
		s.stop("c1-again", s.run("m1"), events.ByUser, events.WhyUser)
		s.say("m1", "Never mind")
		s.say("m2", "But this")
		s.answer("Yes.")
	}},
	{"takeover", "A worker dies while the model writes: attempt 2 supersedes it, and what attempt 1 says later changes nothing.", func(s *story) {
		s.say("m1", "Hello?")
		r := s.active()
		s.again()
		s.keep(60)
		s.commit(events.StepCompleted{RunID: r.RunID, Step: 1, Attempt: 1, Text: "From the dead.", FinishReason: "stop"})
		s.answer("Hello, I am back.")
	}},
	{"handover", "Workers that were told to stop hand the open step over: those attempts do not count, and the step may be tried as often as any.", func(s *story) {
		s.say("m1", "Stay with me")
		for range 4 {
			r := s.active()
			s.commit(events.StepInterrupted{RunID: r.RunID, Step: r.Step, Attempt: r.Attempt})
			s.again()
		}
		r := s.active()
		s.commit(events.StepInterrupted{RunID: r.RunID, Step: r.Step, Attempt: r.Attempt - 1}) // late, and of no account
		s.keep(60)
		ids := s.call("", want{name: "list_tasks", args: `{}`})
		s.returned(ids[0], `{"tasks":[]}`)
		s.keep(60)
		s.answer("I am here.")
	}},
	{"attempts", "A step that died three times fails its run and starts the queued one.", func(s *story) {
		s.say("m1", "Crash")
		s.again()
		s.again()
		s.say("m2", "Next")
		s.receive("m1", events.ByUser)
		s.lease.Delivery = 4
		r := s.active()
		s.end(events.RunFailed{RunID: r.RunID, Code: events.FailAttempts, Message: "The answer was interrupted three times.", Usage: r.Usage})
		s.answer("Here.")
	}},
	{"branches", "Regenerating and editing branch the conversation: each branch has its own path from the root; a base shows the newest one.", func(s *story) {
		one := s.say("m1", "Name a colour")
		s.answer("Blue.")
		two := s.say("m2", "Another")
		s.answer("Green.")
		s.say("m3", "Another", func(e *events.MessageAccepted) { e.ParentID, e.Regenerates, e.Model = one, two, "large" })
		s.answer("Red.")
		s.keep(60)
		s.say("m4", "Name an animal", func(e *events.MessageAccepted) { e.ParentID = "" })
		s.answer("Otter.")
		s.say("m5", "A bigger one")
		s.keep(1)
		s.answer("Whale.")
		s.say("m6", "And a third colour", func(e *events.MessageAccepted) { e.ParentID = two })
		s.answer("Yellow.")
	}},
	{"approval", "A person is asked: allowed as it is, allowed with other arguments (even none), allowed before its turn, denied, and nobody answers; the clock stands still meanwhile.", func(s *story) {
		s.say("m1", "Clean up")
		ids := s.call("May I?", want{name: "delete_task", args: `{"task_id":1}`, ask: true}, want{name: "delete_task", args: `{"task_id":2}`, ask: true},
			want{name: "list_tasks", args: `{"status":"open"}`, ask: true}, want{name: "delete_task", args: `{"task_id":4}`, ask: true},
			want{name: "delete_task", args: `{"task_id":5}`, ask: true}, want{name: "list_tasks", args: `{}`, ask: true})
		s.keep(60)
		s.decide("a1", ids[0], events.Allow, "", "")
		s.decide("a2", ids[1], events.Allow, `{"task_id":3}`, "")
		s.keep(60)
		s.returned(ids[0], `{"deleted":1}`)
		s.returned(ids[1], `{"deleted":3}`)
		s.decide("a3", ids[2], events.Allow, `{}`, "")
		s.returned(ids[2], `{"tasks":[]}`)
		s.decide("a4", ids[3], events.Deny, "", "I still need it")
		s.receive("a6", events.ByUser)
		s.commit(events.ApprovalAnswered{CallID: ids[5], RunID: s.active().RunID, Decision: events.Allow, Arguments: jsontext.Value(`{"query":"x"}`), By: events.ByUser})
		s.keep(60)
		s.receive("timer-turn", events.BySystem)
		s.commit(s.release(s.active(), ids[5], "list_tasks", `{"query":"x"}`))
		s.returned(ids[5], `{"tasks":[]}`)
		s.now = s.now.Add(approval)
		s.decide(string(ids[4])+"-expiry", ids[4], events.Expired, "", "")
		s.answer("Two are deleted.")
	}},
	{"stop-asking", "A stop while only a person is awaited ends the run at once: what was asked never runs.", func(s *story) {
		run := s.say("m1", "Delete everything")
		s.call("", want{name: "delete_task", args: `{"task_id":1}`, ask: true})
		s.stop("c1", run, events.ByUser, events.WhyUser)
	}},
	{"home", "Calls by hand: no run, no join; the newest answered calls are kept, those still open always.", func(s *story) {
		call := func(i int) events.CallID {
			id := fmt.Sprintf("tick-%d", i)
			hand := events.HandCallID(ada, id)
			s.control(id, events.ToolCalled{
				CallID: hand, Server: "tasks", Name: "complete_task", Arguments: jsontext.Value(fmt.Sprintf(`{"task_id":%d}`, i)),
				By: events.ByUser, Deadline: s.now.Add(time.Minute),
			})
			return hand
		}
		open := call(0)
		first := call(1)
		s.failed(first, events.ToolFailed, "There is no task 1.")
		for i := 2; i < 104; i++ {
			s.returned(call(i), fmt.Sprintf(`{"task_id":%d}`, i))
		}
		s.keep(60)
		s.receive(events.ResultID(first), events.BySystem)
		s.commit(events.ToolReturned{CallID: first, OK: true, Result: jsontext.Value(`"a second answer"`)})
		s.returned(open, `{"task_id":0}`)
	}},
	{"names", "A model's title gives way to a person's and never replaces it.", func(s *story) {
		s.say("m1", "Plan my trip to Lisbon")
		s.answer("Gladly.")
		s.receive("m1", events.BySystem)
		s.commit(events.ConversationRenamed{Title: "Trip to Lisbon", By: events.ByModel})
		s.keep(60)
		s.control("r1", events.ConversationRenamed{Title: "Lisboa 2026", By: events.ByUser})
		s.receive("m1", events.BySystem)
		s.commit(events.ConversationRenamed{Title: "A trip", By: events.ByModel})
	}},
	{"shelf", "Pin, read (never back, never ahead), rate, delete and restore.", func(s *story) {
		run := s.say("m1", "Hello")
		s.answer("Hello.")
		s.control("p1", events.ConversationPinned{Pinned: true})
		s.control("s1", events.ConversationRead{ReadN: 2})
		s.control("s2", events.ConversationRead{ReadN: 1})
		s.control("s3", events.ConversationRead{ReadN: 4000})
		s.control("v1", events.MessageRated{RunID: run, Rating: events.RatedDown, Reason: "Too short"})
		s.keep(60)
		s.control("v2", events.MessageRated{RunID: run, Rating: events.RatedNone})
		s.control("v3", events.MessageRated{RunID: run, Rating: events.RatedUp})
		s.control("p2", events.ConversationPinned{Pinned: false})
		s.control("d1", events.ConversationDeleted{})
		s.keep(60)
		s.control("d2", events.ConversationRestored{})
	}},
	{"archive", "A conversation is put away, stays away while it is read and named, and comes back by hand or with the next message.", func(s *story) {
		s.say("m1", "Hello")
		s.answer("Hello.")
		s.control("a1", events.ConversationArchived{Archived: true})
		s.keep(60)
		s.control("s1", events.ConversationRead{ReadN: 3})
		s.control("r1", events.ConversationRenamed{Title: "Hello", By: events.ByUser})
		s.control("a2", events.ConversationArchived{Archived: false})
		s.control("a3", events.ConversationArchived{Archived: true})
		s.control("a4", events.ConversationArchived{Archived: true})
		s.keep(60)
		s.say("m2", "Are you still there?")
		s.keep(60)
		s.answer("Yes.")
	}},
	{"delete", "A conversation is deleted while it answers: what waits and what runs is stopped in the same commit.", func(s *story) {
		one := s.say("m1", "Go on")
		two := s.say("m2", "And on")
		s.control("d1", events.ConversationDeleted{}, events.RunCancelRequested{RunID: two, By: events.ByUser, Why: events.WhyUser},
			events.RunCancelled{RunID: two}, events.RunCancelRequested{RunID: one, By: events.ByUser, Why: events.WhyUser})
		s.cut("Once")
	}},
	{"late", "An answer to a call that its run's end had left open is recorded as late; a call has one answer.", func(s *story) {
		run := s.say("m1", "Ask the other server")
		ids := s.call("", want{name: "weather", args: `{"city":"Graz"}`})
		s.receive("x1", events.BySystem)
		s.end(events.RunFailed{RunID: run, Code: events.FailPoison, Message: "Given up.", Receipt: events.Receipt{NotRun: ids}})
		s.keep(60)
		s.returned(ids[0], `{"weather":"sunny"}`)
		s.receive("x2", events.BySystem)
		s.commit(events.ToolReturned{CallID: ids[0], RunID: run, OK: true, Result: jsontext.Value(`"again"`), Late: true})
	}},
	{"failures", "A model that fails: what was written before the error is kept, and the person may ask again.", func(s *story) {
		one := s.say("m1", "Hi")
		s.end(events.RunFailed{
			RunID: one, Code: events.FailModel, Message: "The model answered with an error.",
			Usage: events.Usage{InputTokens: 100, OutputTokens: 2, Estimated: true}, Receipt: events.Receipt{Text: "Hello, I"},
		})
		bad := s.run("m2")
		s.control("m2", events.MessageAccepted{MessageID: "m2", RunID: bad, ParentID: one, Text: "Where?"},
			events.RunFailed{RunID: bad, Code: events.FailUnknownParent, Message: "The message that this one answers does not exist."})
		s.say("m3", "Hi", func(e *events.MessageAccepted) { e.Regenerates = one; e.ParentID = "" })
		s.answer("Hello.")
	}},
	{"future", "Events and fields of a later version: unknown events are counted and skipped, everything else folds.", func(s *story) {
		s.control("f1", events.Unknown{Type: "weather.changed", Raw: jsontext.Value(`{"type":"weather.changed","to":{"sky":["blue",1.50,1e400]}}`)})
		s.say("m1", "Hello")
		s.receive("f2", events.BySystem)
		s.commit(events.Unknown{Type: "run.paused", Raw: jsontext.Value(`{"type":"run.paused","run_id":"x"}`)},
			events.ConversationRenamed{Title: "Hello", By: events.ByModel},
			events.Unknown{Type: "Run.Started", Raw: jsontext.Value(`{"type":"Run.Started"}`)})
		s.keep(60)
		s.answer("Hello.")
	}},
	{"unicode", "Text of every kind survives byte for byte: emoji, combining marks, right to left with controls, line separators, NUL, quotes, and the longest message.", func(s *story) {
		s.say("m1", "\u202eabc\u202c \u2066שלום\u2069 مرحبا é e\u0301 👩‍👩‍👧‍👦 🏳️‍🌈 \u2028\u2029\u0000\u0001\u007f\ufeff\ufffd \"\\/</script><!-- --> 𝔘𝔫𝔦")
		ids := s.call("```json\n{\"a\": 1}\n```\r\n\ttab", want{name: "add_task", args: `{"title":"𝔘 \u202e שלום \"x\" </script>","due_on":null,"n":[1.0,-0,12345678901234567890,1e-7]}`})
		s.returned(ids[0], `{"":{"":[[],{},"",null,true,false,0]}}`)
		s.answer("👍🏽")
		s.say("m2", strings.Repeat("あé🙂x", events.MaxMessageRunes/4))
		s.answer("-- not a file marker --\n-- really --\n")
	}},
	{"long", "Seventy runs: a base has the last ones of the branch and says that there are more; later commits fold on it as on the whole.", func(s *story) {
		for i := 1; i <= 70; i++ {
			s.say(fmt.Sprintf("m%d", i), fmt.Sprintf("Question %d", i))
			if i == 40 {
				s.keep(10)
			}
			if i == 65 {
				s.keep(60)
			}
			s.answer(fmt.Sprintf("Answer %d.", i))
		}
	}},
	{"nonsense", "A log that no worker of ours would write: what does not fit the state changes nothing, so there is never a second active run, answer or end.", func(s *story) {
		one := s.say("m1", "One")
		two := s.say("m2", "Two")
		ids := s.call("", want{name: "add_task", args: `{"title":"A"}`}, want{name: "add_task", args: `{"title":"B"}`, hold: true})
		s.receive("bug", events.BySystem)
		s.commit(
			events.MessageAccepted{MessageID: "m1", RunID: one, Text: "accepted twice"},
			events.RunStarted{RunID: two, MessageID: "m2", Model: "second active run"},
			events.RunStarted{RunID: one, MessageID: "m1", Model: "started twice"},
			events.RunStarted{RunID: "nobody", MessageID: "m9", Model: "unknown run"},
			events.StepStarted{RunID: two, Step: 1, Attempt: 1, Worker: "not the active run"},
			events.StepCompleted{RunID: one, Step: 1, Attempt: 1, Text: "completed twice", FinishReason: "stop"},
			events.ToolCalled{CallID: ids[0], RunID: one, Server: "called twice", Name: "x", Arguments: jsontext.Value(`{}`), By: events.ByModel},
			events.ToolCalled{CallID: "unknown-1-0", RunID: one, Server: "unknown call", Name: "x", Arguments: jsontext.Value(`{}`), By: events.ByModel},
			events.ToolCalled{CallID: events.CallIDFor(two, 1, 0), RunID: two, Server: "of a queued run", Name: "x", Arguments: jsontext.Value(`{}`), By: events.ByModel},
			events.ApprovalRequested{CallID: ids[0], RunID: one, ExpiresAt: began},
			events.ApprovalAnswered{CallID: ids[1], RunID: one, Decision: events.Allow, Arguments: jsontext.Value(`"nobody was asked"`), By: events.ByUser},
			events.ToolReturned{CallID: "unknown-1-0", RunID: one, OK: true},
			events.MessageRated{RunID: "nobody", Rating: events.RatedUp},
			events.RunCompleted{RunID: "nobody"},
		)
		s.keep(60)
		s.returned(ids[0], `"first"`)
		s.receive("bug-2", events.BySystem)
		s.commit(events.ToolReturned{CallID: ids[0], RunID: one, OK: true, Result: jsontext.Value(`"second"`)},
			events.RunCompleted{RunID: one}, events.RunCompleted{RunID: one}, events.RunCancelled{RunID: one, Receipt: events.Receipt{Text: "ended twice"}},
			events.RunStarted{RunID: one, MessageID: "m1", Model: "started after its end"},
			events.RunCancelRequested{RunID: one, By: events.ByUser, Why: events.WhyUser},
			events.StepCompleted{RunID: one, Step: 1, Attempt: 1, Text: "after its end", FinishReason: "stop"})
		s.commit(events.RunStarted{RunID: two, MessageID: "m2", Model: "demo", Deadline: began}, events.RunCancelRequested{RunID: two, By: events.ByUser, Why: events.WhyUser},
			events.RunCancelRequested{RunID: two, By: events.BySystem, Why: events.WhyPoison})
		self := s.run("m3")
		s.commit(events.MessageAccepted{MessageID: "m3", RunID: self, ParentID: self, Text: "answers itself"})
	}},
}
