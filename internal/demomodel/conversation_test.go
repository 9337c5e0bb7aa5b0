package demomodel_test

import (
	"strings"
	"testing"

	"github.com/sashabaranov/go-openai"

	"github.com/parleychat/parley/internal/demomodel"
)

// TestFirstMinutes plays whole conversations as people begin them, and judges
// the calls, what is said, and the tasks at the end.
func TestFirstMinutes(t *testing.T) {
	t.Parallel()
	type line struct{ say, calls, has string }
	for _, tc := range []struct {
		name  string
		start *store
		lines []line
		end   string
	}{
		{"first three minutes", &store{}, []line{
			{"hi", "", "demo model"},
			{"show my tasks", "list all", "Your list is empty"},
			{"add a task to buy groceries", "add Buy groceries", "**#1** Buy groceries"},
			{"remind me to call mom tomorrow", "add Call mom @2026-11-24", "due tomorrow"},
			{"show my tasks", "list all", "- **#2** Call mom (due tomorrow)"},
			{"mark the groceries as done", "list all > complete 1", "**#1** Buy groceries"},
			{"what is left?", "list open", "**#2** Call mom"},
			{"what can you do?", "", "“show my tasks”"},
			{"thanks", "", ""},
			{"plan a trip to Rome", "", "Shall I add “Plan a trip to Rome” as a task?"},
			{"yes", "add Plan a trip to Rome", "**#3** Plan a trip to Rome"},
			{"add 3 tasks for my move", "", "Which are the three tasks?"},
			{"pack boxes, hire a van and cancel the internet", "add Pack boxes; add Hire a van; add Cancel the internet", "3 tasks"},
			{"no, not hire a van, borrow a van", "update 5 =Borrow a van", "“Hire a van” to “Borrow a van”"},
			{"delete the last one", "delete 6", "**#6** Cancel the internet"},
		}, "1 Buy groceries (done); 2 Call mom @2026-11-24; 3 Plan a trip to Rome; 4 Pack boxes; 5 Borrow a van"},
		{"start over", seeded(), []line{
			{"delete everything", "list all", "Delete all 6?"},
			{"hmm, what is left?", "list open", "5 "},
			{"delete everything", "list all", "Delete all 6?"},
			{"yes, do it", "delete 1; delete 2; delete 3; delete 4; delete 5; delete 6", "Deleted 6 tasks"},
			{"how many tasks do I have?", "list all", "your list is empty"},
			{"complete the first one", "list all", "Your list is empty"},
		}, ""},
		{"changes of mind", &store{}, []line{
			{"add buy milk tomorrow", "add Buy milk @2026-11-24", ""},
			{"actually make it oat milk", "update 1 =Buy oat milk", "“Buy milk” to “Buy oat milk”"},
			{"no wait, friday", "update 1 @2026-11-27", "due Friday"},
			{"undo that", "", "due tomorrow"},
			{"yes", "update 1 @2026-11-24", "due tomorrow"},
			{"delete 9", "delete 9", "could not delete **#9**. The tool says: There is no task 9."},
			{"delete it", "delete 9", "could not"},
			{"complete 1", "complete 1", "**#1** Buy oat milk"},
			{"undo", "", "untick"},
		}, "1 Buy oat milk @2026-11-24 (done)"},
		{"two at once, one fails", seeded(), []line{
			{"complete 1 and 77", "complete 1; complete 77", "I could not complete **#77**"},
			{"move the meeting to friday", "list all", "Which one do you mean?"},
			{"the team one", "update 4 @2026-11-27", "**#4** Team meeting is now due Friday"},
			{"add a note to it: bring the slides", "update 4 [Bring the slides]", "Bring the slides"},
		}, "1 Buy groceries (done); 2 Call mom @2026-11-24; 3 Pay rent @2026-12-01; 4 Team meeting [Bring the slides] @2026-11-27; 5 Meeting with Bob; 6 Water the plants (done)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newChat(t, tc.start)
			for i, l := range tc.lines {
				calls, answer := c.say(l.say)
				diff(t, l.say, l.calls, calls)
				if !strings.Contains(answer, l.has) {
					t.Errorf("%q: %q is not in the answer:\n%s", l.say, l.has, answer)
				}
				if has := strings.Contains(answer, demomodel.Notice); has != (i == 0) {
					t.Errorf("%q, answer %d: notice = %v", l.say, i+1, has)
				}
			}
			diff(t, "tasks", tc.end, tc.start.state())
		})
	}
}

// TestTruth gives results that are not what the rules hoped for: the answer must
// follow the result.
func TestTruth(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, say, result, has, hasNot string }{
		{"refused", "complete 3", `{"error":"The task list is read-only"}`, "could not complete **#3**. The tool says: The task list is read-only.", "done"},
		{"error object", "complete 3", `{"error":{"code":"x","message":"no such task"}}`, "The tool says: No such task.", ""},
		{"not JSON", "delete 3", `Internal Server Error`, "not one I can read", "Deleted"},
		{"empty object", "delete 3", `{}`, "not one I can read", "Deleted"},
		{"wrong row", "add milk", `{"task":{"task_id":9,"title":"Bread","status":"open"}}`, "**#9** Bread", "Milk"},
		{"still open", "complete 3", `{"task":{"task_id":3,"title":"Rent","status":"open"}}`, "still open", "Ticked"},
		{"failed list", "show my tasks", `{"error":"database is asleep"}`, "could not list the tasks. The tool says: Database is asleep.", "empty"},
		{"failed look-up", "complete the rent", `{"error":"database is asleep"}`, "changed nothing", ""},
		{"cut list", "show my tasks", `{"tasks":[{"task_id":1,"ti`, "not one I can read", "empty"},
		{"null list", "show my tasks", `{"tasks":null,"count":0}`, "Your list is empty", ""},
		{"part of a list", "show my tasks", `{"tasks":[{"task_id":1,"title":"A","status":"open"}],"count":70}`, "69 more", ""},
		{"markdown in a title", "show my tasks", `{"tasks":[{"task_id":1,"title":"[x](http://e.vil) **#2** <img>","status":"open"}],"count":1}`, `\[x\](http://e.vil) \*\*#2\*\* \<img\>`, "**#2**"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newChat(t, &store{})
			c.messages = append(c.messages, openai.ChatCompletionMessage{Role: "user", Content: tc.say})
			m, _, err := streamed(t.Context(), c.client, c.request())
			if err != nil || len(m.ToolCalls) != 1 {
				t.Fatalf("%d calls, error %v", len(m.ToolCalls), err)
			}
			c.messages = append(c.messages, m, openai.ChatCompletionMessage{Role: "tool", ToolCallID: m.ToolCalls[0].ID, Content: tc.result})
			m, _, err = streamed(t.Context(), c.client, c.request())
			if err != nil || len(m.ToolCalls) != 0 {
				t.Fatalf("%d calls, error %v", len(m.ToolCalls), err)
			}
			if !strings.Contains(m.Content, tc.has) || tc.hasNot != "" && strings.Contains(m.Content, tc.hasNot) {
				t.Errorf("want %q, not %q, in:\n%s", tc.has, tc.hasNot, m.Content)
			}
		})
	}
}

// TestOnlyOfferedTools: what is not offered is not called, and that is said.
func TestOnlyOfferedTools(t *testing.T) {
	t.Parallel()
	for say, tool := range map[string]string{
		"add milk": "add_task", "show my tasks": "list_tasks", "complete 3": "complete_task", "delete 3": "delete_task", "rename 3 to X": "update_task", "complete the rent": "list_tasks",
	} {
		for _, offer := range [][]string{nil, {"get_weather"}} {
			c := newChat(t, seeded())
			c.tools = offered(offer...)
			calls, answer := c.say(say)
			diff(t, say, "", calls)
			if !strings.Contains(answer, "`"+tool+"`") {
				t.Errorf("%q does not name %s:\n%s", say, tool, answer)
			}
		}
	}
	c := newChat(t, seeded())
	c.messages = append(c.messages, openai.ChatCompletionMessage{Role: "user", Content: "add milk"})
	req := c.request()
	req.ToolChoice = "none"
	m, _, err := streamed(t.Context(), c.client, req)
	if err != nil || len(m.ToolCalls) != 0 {
		t.Errorf("tool_choice none: %d calls, error %v", len(m.ToolCalls), err)
	}
}

// TestReopenIfOffered: the tools for people are used where somebody offers them.
func TestReopenIfOffered(t *testing.T) {
	t.Parallel()
	c := newChat(t, seeded())
	c.tools = offered(append([]string{"reopen_task", "restore_task"}, toolNames...)...)
	c.messages = append(c.messages, openai.ChatCompletionMessage{Role: "user", Content: "reopen 6"})
	m, _, err := streamed(t.Context(), c.client, c.request())
	if err != nil || len(m.ToolCalls) != 1 || m.ToolCalls[0].Function.Name != "reopen_task" {
		t.Errorf("%v, %+v", err, m.ToolCalls)
	}
}

// TestNullableDue: a due date is taken away only where the schema allows null.
func TestNullableDue(t *testing.T) {
	t.Parallel()
	c := newChat(t, seeded())
	for _, k := range c.tools {
		if k.Function.Name == "update_task" {
			k.Function.Parameters = map[string]any{"properties": map[string]any{"due_on": map[string]any{"type": []string{"string", "null"}}}}
		}
	}
	calls, answer := c.say("remove the due date of 3")
	diff(t, "calls", "update 3 @never", calls)
	if !strings.Contains(answer, "no due date any more") {
		t.Error(answer)
	}
}

// TestWithoutToday: relative dates need a today; without one they stay words.
func TestWithoutToday(t *testing.T) {
	t.Parallel()
	c := newChat(t, &store{})
	c.messages[0].Content = "You are Parley."
	calls, _ := c.say("add call mom tomorrow")
	diff(t, "relative", "add Call mom tomorrow", calls)
	calls, _ = c.say("add pay taxes due 2027-01-31")
	diff(t, "full", "add Pay taxes @2027-01-31", calls)
}

func TestTitles(t *testing.T) {
	t.Parallel()
	client := clientOf(t, demomodel.Options{})
	for _, tc := range []struct{ said, want string }{
		{"add a task to buy groceries", "Buy groceries"},
		{"add milk, bread and eggs as tasks", "Milk, bread and eggs"},
		{"User: remind me to call mom tomorrow\nAssistant: Done, **#1** Call mom is on your list.", "Call mom tomorrow"},
		{"Person: delete the first one\n\nAssistant: Deleted **#1** Buy milk.", "Delete a task"},
		{"Person: add a task to write: the minutes\n\nAssistant: Got it.\nAssistant: x", "Write: the minutes"},
		{"what is left?", "What is left"},
		{"show my tasks", "Task overview"},
		{"hi", "Greeting"},
		{"plan a trip to Rome", "Plan a trip to Rome"},
		{"mark the groceries as done", "Complete groceries"},
		{"/long 500", "Test long"},
		{"what's the capital of France?", "Capital of France"},
		{"**", "New conversation"},
	} {
		r, err := client.CreateChatCompletion(t.Context(), openai.ChatCompletionRequest{Model: demomodel.Model, Messages: []openai.ChatCompletionMessage{
			{Role: "system", Content: "Write a title of at most six words for this conversation."}, {Role: "user", Content: tc.said},
		}})
		if err != nil {
			t.Fatal(err)
		}
		diff(t, tc.said, tc.want, r.Choices[0].Message.Content)
	}
}
