package demomodel_test

import (
	"regexp"
	"strings"
	"testing"
)

// sentence is one message after others, in a world of six seeded tasks:
// 1 Buy groceries; 2 Call mom @2026-11-24; 3 Pay rent @2026-12-01; 4 Team meeting;
// 5 Meeting with Bob; 6 Water the plants (done).
type sentence struct {
	after []string // said before
	say   string
	calls string // "" = none at all; see callText
	reply string // a pattern of the closing text
}

// Patterns that many replies share.
const (
	asksAdd   = `Shall I add “.*”.*\?$`
	asksWhich = `Which one do you mean\?$`
	asksYes   = `\(yes or no\)$`
	asksHow   = `\?`
	noRule    = `rules?\b|Sorry|did not understand`
)

var adds = []sentence{
	{say: "add a task to buy milk", calls: "add Buy milk", reply: `\*\*#7\*\* Buy milk`},
	{say: "Add a task: call the plumber", calls: "add Call the plumber"},
	{say: "add task buy milk", calls: "add Buy milk"},
	{say: "add buy milk", calls: "add Buy milk"},
	{say: "add a new task called Order the cake", calls: "add Order the cake"},
	{say: "create a task titled \"Milk, bread and eggs\"", calls: "add Milk, bread and eggs"},
	{say: "can you please add a task to water the garden?", calls: "add Water the garden"},
	{say: "new task: fix the sink", calls: "add Fix the sink"},
	{say: "todo: send the invoice", calls: "add Send the invoice"},
	{say: "put milk on my list", calls: "add Milk"},
	{say: "add milk to my list please", calls: "add Milk"},
	{say: "make a task for my dentist appointment", calls: "add My dentist appointment"},
	{say: "remind me to call mom tomorrow", calls: "add Call mom @2026-11-24", reply: `due tomorrow`},
	{say: "Remind me about the parent evening on Thursday", calls: "add Parent evening @2026-11-26"},
	{say: "remind me tomorrow to call dad", calls: "add Call dad @2026-11-24"},
	{say: "don't let me forget to feed the cat", calls: "add Feed the cat"},
	{say: "I need to call mom and pay rent tomorrow", calls: "add Call mom @2026-11-24; add Pay rent @2026-11-24", reply: `2 tasks`},
	{say: "I have to finish the slides by friday", calls: "add Finish the slides @2026-11-27"},
	{say: "I must renew my passport", calls: "add Renew my passport"},
	{say: "I should really clean the garage this weekend", calls: "add Clean the garage @2026-11-28"},
	{say: "Tomorrow I need to buy stamps and post the letter", calls: "add Buy stamps @2026-11-24; add Post the letter @2026-11-24"},
	{say: "add milk, bread and eggs as tasks", calls: "add Milk; add Bread; add Eggs", reply: `3 tasks`},
	{say: "add milk and bread", calls: "add Milk; add Bread"},
	{say: "add tasks: wash the car, mow the lawn", calls: "add Wash the car; add Mow the lawn"},
	{say: "add 3 tasks: buy milk, call mom and dad, pay rent", calls: "add Buy milk; add Call mom and dad; add Pay rent"},
	{say: "add the following tasks:\n- milk\n- bread for Sunday\n- eggs", calls: "add Milk; add Bread @2026-11-29; add Eggs"},
	{say: "create two tasks: 1. pack 2. leave", calls: "add Pack; add Leave"},
	{say: "add a task to buy milk and another to call Bob", calls: "add Buy milk; add Call Bob"},
	{say: "add a task to buy milk and bread", calls: "add Buy milk and bread"},
	{say: "add lunch with Ann and Bob", calls: "add Lunch with Ann and Bob"},
	{say: "add call mom and dad", calls: "add Call mom and dad"},
	{say: `add "Fish and chips" and "Mac and cheese"`, calls: "add Fish and chips; add Mac and cheese"},
	{say: "add pay taxes due 2027-01-31", calls: "add Pay taxes @2027-01-31"},
	{say: "add book flights in two weeks", calls: "add Book flights @2026-12-07"},
	{say: "add dentist on december 3rd at 5pm", calls: "add Dentist at 5pm @2026-12-03"},
	{say: "add a task to call Ann next friday", calls: "add Call Ann @2026-12-04"},
	{say: "add call Ann tomorrow morning", calls: "add Call Ann in the morning @2026-11-24"},
	{say: "add read Sunday paper", calls: "add Read Sunday paper"},
	{say: "remind me to take out the trash every monday", calls: "add Take out the trash every monday"},
	{say: "add vacation from monday to friday", calls: "add Vacation from monday to friday"},
	{say: "add buy milk with note: 2 liters, oat", calls: "add Buy milk [2 liters, oat]", reply: `2 liters`},
	{say: "add a task to *really* <b>do</b> it", calls: "add *really* <b>do</b> it", reply: `\\\*really\\\* \\<b\\>do`},
	{say: "add a task to wash and remove the paint", calls: "add Wash and remove the paint"},
	{after: []string{"add a task"}, say: "buy a new bike", calls: "add Buy a new bike"},
	{after: []string{"add some tasks"}, say: "milk, bread, call Bob", calls: "add Milk; add Bread; add Call Bob"},
	{after: []string{"add 3 tasks for my move"}, say: "pack boxes, hire a van and cancel the internet", calls: "add Pack boxes; add Hire a van; add Cancel the internet"},
	{after: []string{"buy milk"}, say: "yes", calls: "add Buy milk"},
	{after: []string{"plan a trip to Rome"}, say: "sure, tomorrow", calls: "add Plan a trip to Rome @2026-11-24"},
	{after: []string{"I want to learn Italian"}, say: "yes please", calls: "add Learn Italian"},
	{say: "I'm moving soon. Can you add tasks for: packing, van rental, change address", calls: "add Packing; add Van rental; add Change address"},
	{say: "add one more: water plants", calls: "add Water plants"},
	{say: `Add "Call Bob" tomorrow at noon`, calls: "add Call Bob at noon @2026-11-24"},
	{say: "Can you complete 4 and remind me to send the notes?", calls: "complete 4; add Send the notes"},
	{say: "add what's for dinner?", calls: "add What's for dinner?", reply: `dinner\?$|list\.$`},
	{after: []string{"add milk"}, say: "tomorrow", calls: "", reply: `due date of \*\*#7\*\* Milk to tomorrow\?$`},
	{after: []string{"add milk", "tomorrow"}, say: "yes", calls: "update 7 @2026-11-24"},
	{say: "remind me in 2 hours to check the oven", calls: "add Check the oven in 2 hours", reply: `no alarms`},
	{say: "add a high priority task to submit the report by friday", calls: "add Submit the report (high priority) @2026-11-27"},
	{say: `add task "Submit taxes" due next friday with description "bring all receipts"`, calls: "add Submit taxes @2026-12-04 [Bring all receipts]"},
	{say: "I have 3 things to do: buy milk, call mom, clean house", calls: "add Buy milk; add Call mom; add Clean house"},
	{say: "today: laundry, dishes, gym", calls: "add Laundry @2026-11-23; add Dishes @2026-11-23; add Gym @2026-11-23"},
	{say: "tasks for tomorrow: gym, laundry", calls: "add Gym @2026-11-24; add Laundry @2026-11-24"},
	{say: "make a list: eggs, ham, cheese", calls: "add Eggs; add Ham; add Cheese"},
	{say: "add groceries to my shopping list", calls: "add Groceries"},
	{say: "I have a meeting tomorrow at 3pm", calls: "", reply: `“Meeting at 3pm”, due tomorrow, as a task\?$`},
	{say: "1. buy milk\n2. call bob", calls: "", reply: `“Buy milk” and “Call bob” as tasks\?$`},
	{say: "- [ ] wash car\n- [ ] vacuum", calls: "", reply: `“Wash car” and “Vacuum” as tasks\?$`},
	{say: "buy flour\nbake bread", calls: "", reply: asksAdd},
}

var lists = []sentence{
	{say: "show my tasks", calls: "list all", reply: `(?s)5 .*\*\*#1\*\* Buy groceries.*#2\*\* Call mom \(due tomorrow\).*done.*Water the plants`},
	{say: "list all tasks", calls: "list all"},
	{say: "what's on my list?", calls: "list all"},
	{say: "tasks", calls: "list all"},
	{say: "Could you show me everything?", calls: "list all"},
	{say: "what is left?", calls: "list open", reply: `(?s)5 .*Meeting with Bob \w*\n*$|Bob$`},
	{say: "what do I still have to do?", calls: "list open"},
	{say: "what else is there to do", calls: "list open"},
	{say: "show open tasks", calls: "list open"},
	{say: "whats on my plate", calls: "list open"},
	{say: "which tasks are done?", calls: "list completed", reply: `One task is done:\n\n- \*\*#6\*\* Water the plants`},
	{say: "what did I finish?", calls: "list completed"},
	{say: "show me the completed ones please", calls: "list completed"},
	{say: "how many tasks do I have?", calls: "list all", reply: `^You have 5 open tasks; one is done\.`},
	{say: "how many tasks are left", calls: "list open", reply: `5 open tasks`},
	{say: "what's due this week?", calls: "list open", reply: `(?s)Call mom \(due tomorrow\)$`},
	{say: "what is due tomorrow", calls: "list open", reply: `One open task is due tomorrow`},
	{say: "anything overdue?", calls: "list open", reply: `Nothing is overdue`},
	{say: "what should I do next?", calls: "list open", reply: `Call mom`},
	{say: "do I have any tasks about rent?", calls: "list all ?rent", reply: `#3`},
	{say: "find tasks about meeting", calls: "list all ?meeting", reply: `2 tasks match`},
	{say: "is the rent paid?", calls: "", reply: noRule},
	{say: "is team meeting done?", calls: "list all", reply: `Not yet`},
	{say: "I want to see my tasks", calls: "list all"},
	{say: "show all", calls: "list all"},
	{say: "what did I do today?", calls: "list completed"},
	{say: "when is the rent due?", calls: "list all", reply: `#3\*\* Pay rent is open, due Tue, 1 Dec\.$`},
	{say: "when is my dentist appointment?", calls: "list all", reply: `no task that sounds like`},
	{say: "do I have anything due on friday?", calls: "list open", reply: `Nothing is due Friday`},
	{say: "what do I have tomorrow", calls: "list open", reply: `One open task is due tomorrow`},
	{say: "can you remind me what's left", calls: "list open"},
	{say: "how many did I complete?", calls: "list completed", reply: `^One task is done`},
	{say: "show task 2", calls: "list all", reply: `#2\*\* Call mom is open, due tomorrow`},
	{say: "did I pay the rent?", calls: "list all", reply: `Not yet`},
	{say: "did I water the plants?", calls: "list all", reply: `Yes`},
	{say: "sort my tasks by due date", calls: "list open", reply: `(?s)#2.*#3`},
	{say: "hey, can you tell me what's left?", calls: "list open"},
}

var completes = []sentence{
	{say: "complete 3", calls: "complete 3", reply: `\*\*#3\*\* Pay rent`},
	{say: "mark task 3 as done", calls: "complete 3"},
	{say: "#3 is done", calls: "complete 3"},
	{say: "done with 3", calls: "complete 3"},
	{say: "tick off number three", calls: "complete 3"},
	{say: "complete 1, 2 and 5", calls: "complete 1; complete 2; complete 5", reply: `3 tasks`},
	{say: "mark 1-3 as done", calls: "complete 1; complete 2; complete 3"},
	{say: "mark the groceries as done", calls: "list all > complete 1"},
	{say: "I called mom", calls: "list all > complete 2"},
	{say: "I've paid the rent", calls: "list all > complete 3"},
	{say: "I called mom and paid the rent", calls: "list all > complete 2; complete 3"},
	{say: "finished the groceries!", calls: "list all > complete 1"},
	{say: "the team meeting is done", calls: "list all > complete 4"},
	{say: "groceries and rent are done", calls: "list all > complete 1; complete 3"},
	{say: "complete the first one", calls: "list all > complete 1"},
	{say: "mark the last two as complete", calls: "list all > complete 4; complete 5"},
	{say: "complete the meeting", calls: "list all", reply: `(?s)#4.*#5.*` + asksWhich},
	{after: []string{"complete the meeting"}, say: "the one with Bob", calls: "complete 5"},
	{after: []string{"complete the meeting"}, say: "both", calls: "complete 4; complete 5"},
	{after: []string{"complete the meeting"}, say: "the first", calls: "complete 4"},
	{after: []string{"complete the meeting"}, say: "5", calls: "complete 5"},
	{after: []string{"complete the meeting"}, say: "never mind", calls: "", reply: `left everything|nothing changed|I leave it`},
	{say: "mark everything as done", calls: "list all", reply: `(?s)5 tasks.*` + asksYes},
	{after: []string{"mark everything as done"}, say: "yes", calls: "complete 1; complete 2; complete 3; complete 4; complete 5"},
	{after: []string{"mark everything as done"}, say: "only 1 and 2", calls: "complete 1; complete 2"},
	{say: "mark water the plants as done", calls: "list all", reply: `already done`},
	{say: "complete 99", calls: "complete 99", reply: `could not complete \*\*#99\*\*.*no task 99`},
	{say: "complete the unicorn", calls: "list all", reply: `no task that sounds like “unicorn”`},
	{say: "complete the grocereis", calls: "list all", reply: `Buy groceries.\n\nDo you mean that one\? ` + asksYes},
	{say: "finish the report", calls: "list all", reply: asksAdd},
	{after: []string{"finish the report"}, say: "yes", calls: "add Finish the report"},
	{say: "mark as done", calls: "", reply: `Which task.*\?`},
	{after: []string{"complete"}, say: "rent", calls: "list all > complete 3"},
	{after: []string{"add a task to buy milk"}, say: "mark it as done", calls: "complete 7"},
	{after: []string{"add milk and bread"}, say: "mark both as done", calls: "complete 7; complete 8"},
	{after: []string{"add milk and bread"}, say: "mark it as done", calls: "", reply: asksWhich},
	{after: []string{"show my tasks"}, say: "complete the second", calls: "complete 2"},
	{after: []string{"complete 3"}, say: "no, I meant 4", calls: "complete 4", reply: `untick`},
	{say: "complete 4 and show my tasks", calls: "complete 4 > list all"},
	{say: "complete groceries and rent", calls: "list all > complete 1; complete 3"},
	{after: []string{"add milk", "add \"Milk and bread\""}, say: "complete milk and bread", calls: "list all > complete 8"},
	{say: "mark task as done: team meeting", calls: "list all > complete 4"},
	{say: "complete all the meetings", calls: "list all > complete 4; complete 5"},
	{say: "I think the team meeting is done", calls: "list all > complete 4"},
	{say: "ok now mark the team meeting complete too", calls: "list all > complete 4"},
	{say: "I finished everything", calls: "list all", reply: asksYes},
	{say: "I did not call mom", calls: "", reply: noRule},
}

var changes = []sentence{
	{say: "rename 3 to Pay the rent", calls: "update 3 =Pay the rent", reply: `\*\*#3\*\* is now called “Pay the rent”`},
	{say: "change groceries to buy vegetables", calls: "list all > update 1 =Buy vegetables", reply: `from “Buy groceries” to “Buy vegetables”`},
	{say: "update task 2: call dad", calls: "update 2 =Call dad"},
	{say: "move 3 to friday", calls: "update 3 @2026-11-27"},
	{say: "postpone the rent until next monday", calls: "list all > update 3 @2026-11-30"},
	{say: "set the due date of 4 to tomorrow", calls: "update 4 @2026-11-24"},
	{say: "change the deadline for rent to december 5", calls: "list all > update 3 @2026-12-05"},
	{say: "groceries are due tomorrow", calls: "list all > update 1 @2026-11-24"},
	{say: "add a due date to 1", calls: "", reply: asksHow},
	{after: []string{"add a due date to 1"}, say: "next week", calls: "update 1 @2026-11-30"},
	{say: "add a note to 3: by bank transfer", calls: "update 3 [By bank transfer]"},
	{say: "rename groceries", calls: "list all", reply: `What shall \*\*#1\*\* Buy groceries say instead\?`},
	{after: []string{"rename groceries"}, say: "Buy vegetables", calls: "update 1 =Buy vegetables"},
	{say: "remove the due date of 3", calls: "", reply: `task panel`},
	{after: []string{"add a task to buy milk"}, say: "no, I meant bread", calls: "update 7 =Buy bread"},
	{after: []string{"add milk"}, say: "actually make it bread", calls: "update 7 =Bread"},
	{after: []string{"add milk"}, say: "rename it to oat milk", calls: "update 7 =Oat milk"},
	{after: []string{"add milk, bread and eggs"}, say: "no, not bread, butter", calls: "update 8 =Butter"},
	{after: []string{"add milk and bread"}, say: "I meant butter", calls: "", reply: asksWhich},
	{after: []string{"add call mom tomorrow"}, say: "actually friday", calls: "update 7 @2026-11-27"},
	{after: []string{"add call mom at 5pm"}, say: "sorry, I meant dad", calls: "update 7 =Call dad at 5pm"},
	{after: []string{"add call Bob about the tickets"}, say: "no, Ann", calls: "update 7 =Call Ann about the tickets"},
	{after: []string{"add milk"}, say: "make it due on friday", calls: "update 7 @2026-11-27"},
	{after: []string{"add milk"}, say: "undo that", calls: "", reply: `(?s)Milk.*` + asksYes},
	{after: []string{"add milk", "undo that"}, say: "yes", calls: "delete 7"},
	{after: []string{"show my tasks", "rename 3 to X", "undo"}, say: "yes", calls: "update 3 =Pay rent"},
	{after: []string{"complete 3"}, say: "undo", calls: "", reply: `untick`},
	{after: []string{"delete 3"}, say: "undo that", calls: "", reply: `Undo`},
	{say: "undo", calls: "", reply: `nothing to undo`},
	{say: "push rent by a week", calls: "list all > update 3 @2026-12-08"},
	{say: "move everything to tomorrow", calls: "list all", reply: `Move all 5 to tomorrow\? ` + asksYes},
	{after: []string{"move everything to tomorrow"}, say: "yes", calls: "update 1 @2026-11-24; update 2 @2026-11-24; update 3 @2026-11-24; update 4 @2026-11-24; update 5 @2026-11-24"},
	{say: `Change task 1 to "Call mom tonight"`, calls: "update 1 =Call mom tonight"},
	{after: []string{"complete 3"}, say: "rename it to Pay the rent for December", calls: "update 3 =Pay the rent for December"},
	{after: []string{"complete 3", "rename it to Pay the rent for December"}, say: "no, I meant January", calls: "update 3 =Pay the rent for January"},
	{after: []string{"add call mom and pay the rent tomorrow", "actually friday", "undo that"}, say: "yes", calls: "update 7 @2026-11-24; update 8 @2026-11-24"},
	{after: []string{"delete 4"}, say: "no wait, add it back", calls: "", reply: `Undo`},
	{say: "reopen 6", calls: "", reply: `task panel`},
}

var deletes = []sentence{
	{say: "delete 2", calls: "delete 2", reply: `\*\*#2\*\* Call mom`},
	{say: "remove tasks 2 and 3", calls: "delete 2; delete 3"},
	{say: "delete the task about rent", calls: "list all > delete 3"},
	{say: "remove groceries from my list", calls: "list all > delete 1"},
	{say: "get rid of the bob meeting", calls: "list all > delete 5"},
	{say: "delete the meeting", calls: "list all", reply: asksWhich},
	{say: "delete all tasks", calls: "list all", reply: `(?s)6 tasks.*Delete all 6\? ` + asksYes},
	{say: "clear my list", calls: "list all", reply: asksYes},
	{say: "delete everything", calls: "list all", reply: asksYes},
	{after: []string{"delete everything"}, say: "no", calls: ""},
	{after: []string{"delete everything"}, say: "yes, delete them all", calls: "delete 1; delete 2; delete 3; delete 4; delete 5; delete 6"},
	{after: []string{"delete everything", "show my tasks"}, say: "yes", calls: "", reply: `Yes to what\?`},
	{say: "clear completed tasks", calls: "list all", reply: `(?s)one task:.*#6.*Delete it\? ` + asksYes},
	{after: []string{"clear completed tasks"}, say: "ok", calls: "delete 6"},
	{after: []string{"show my tasks"}, say: "delete the first one", calls: "delete 1"},
	{after: []string{"show my tasks", "delete the first one"}, say: "delete the first one", calls: "delete 2"},
	{after: []string{"add milk"}, say: "delete the last one", calls: "delete 7"},
	{after: []string{"add milk"}, say: "thanks", calls: ""},
	{after: []string{"add milk", "thanks"}, say: "delete it", calls: "delete 7"},
	{after: []string{"add milk, bread and eggs"}, say: "delete them", calls: "delete 7; delete 8; delete 9"},
	{say: "delete it", calls: "", reply: `Which task.*\?`},
	{say: "I don't need the groceries anymore", calls: "list all", reply: `Delete this task\? ` + asksYes},
	{say: "delete both meetings", calls: "list all > delete 4; delete 5"},
	{after: []string{"delete 4 and 5"}, say: "delete it", calls: "", reply: `Which task.*\?`},
	{after: []string{"delete task"}, say: "rent", calls: "list all > delete 3"},
	{say: "cancel the gym membership", calls: "list all", reply: asksAdd},
	{say: "cancel the team meeting", calls: "list all", reply: `Delete this task\? ` + asksYes},
	{say: "Thanks! Now delete 1", calls: "delete 1"},
	{say: "delete 1 and add buy milk", calls: "delete 1; add Buy milk", reply: `(?s)Buy milk.*Buy groceries`},
	{after: []string{"delete 2"}, say: "delete 2", calls: "delete 2", reply: `could not delete`},
}

var chats = []sentence{
	{say: "hi", calls: "", reply: `task|tasks`},
	{say: "Good morning!", calls: ""},
	{say: "thanks", calls: "", reply: `welcome|Any time|Glad`},
	{say: "ok great", calls: ""},
	{say: "bye", calls: ""},
	{say: "how are you?", calls: ""},
	{say: "who are you?", calls: "", reply: `no AI`},
	{say: "are you chatgpt?", calls: "", reply: `no AI`},
	{say: "what can you do?", calls: "", reply: `(?s)Add:.*Delete:`},
	{say: "help", calls: "", reply: `(?s)Add:.*Delete:`},
	{say: "what day is it today?", calls: "", reply: `Monday, 23 November 2026`},
	{say: "what's the capital of France?", calls: "", reply: noRule},
	{say: "tell me a joke", calls: "", reply: noRule},
	{say: "write me a poem about the sea", calls: "", reply: noRule},
	{say: "how do I use a real model?", calls: "", reply: `OPENAI_API_KEY`},
	{say: "you are wrong", calls: "", reply: `Sorry`},
	{say: "I want to kill myself", calls: "", reply: `emergency`},
	{say: "plan a trip to Rome", calls: "", reply: `cannot.*` + asksAdd},
	{say: "buy milk", calls: "", reply: asksAdd},
	{say: "add 3 tasks for my move", calls: "", reply: `Which are the three tasks\?`},
	{say: "add a task", calls: "", reply: asksHow},
	{say: "3", calls: "", reply: `#3.*\?`},
	{say: "asdfgh", calls: "", reply: asksHow},
	{say: "the quick brown fox jumps over the lazy dog", calls: "", reply: asksHow},
	{say: "yes", calls: "", reply: `Yes to what\?`},
	{say: "no", calls: ""},
	{say: "?", calls: ""},
	{say: "👍", calls: ""},
	{say: "delete all except 3", calls: "", reply: `numbers`},
	{say: "I'm done for today", calls: ""},
	{say: "I'd like to add a few things to my list", calls: "", reply: `Which tasks`},
	{say: "change 3 to high priority", calls: "", reply: `no priorities`},
	{say: "gotta run", calls: ""},
	{say: "Hello, I need help with my tasks", calls: "", reply: `(?s)Add:.*Delete:`},
	{say: "help me plan my day", calls: "", reply: noRule},
	{after: []string{"add a task for each day"}, say: "add 5 random tasks", calls: "", reply: asksHow},
	{say: "I am bored", calls: ""},
}

func TestSentences(t *testing.T) {
	t.Parallel()
	for group, rows := range map[string][]sentence{"add": adds, "list": lists, "complete": completes, "change": changes, "delete": deletes, "chat": chats} {
		for _, s := range rows {
			t.Run(group+"/"+strings.Join(append(s.after, s.say), "→"), func(t *testing.T) {
				t.Parallel()
				c := newChat(t, seeded())
				for _, before := range s.after {
					c.say(before)
				}
				calls, answer := c.say(s.say)
				answer, _, _ = strings.Cut(answer, "\n\n_I am the demo model")
				diff(t, "calls", s.calls, calls)
				if !regexp.MustCompile(s.reply).MatchString(answer) {
					t.Errorf("reply does not match %q:\n%s", s.reply, answer)
				}
				if strings.TrimSpace(answer) == "" {
					t.Error("no answer")
				}
			})
		}
	}
}
