package demomodel

import (
	"regexp"
	"strings"
)

// Notice ends the first answer of every conversation.
const Notice = "_I am the demo model: simple rules, no AI. For a real one set `OPENAI_API_KEY` or `--openai-base-url`._"

const help = "I manage your tasks and understand plain English sentences like these:\n\n" +
	"- **Add:** “add a task to buy groceries”, “remind me to call mom tomorrow”, “add milk, bread and eggs as tasks”\n" +
	"- **Look:** “show my tasks”, “what is left?”, “what is due this week?”, “find tasks about rent”\n" +
	"- **Finish:** “mark the groceries as done”, “complete 3 and 4”, “I called mom”\n" +
	"- **Change:** “rename 3 to Buy oat milk”, “move the dentist to friday”, “no, I meant bread”\n" +
	"- **Delete:** “delete the first one”, “clear completed tasks”\n\n" +
	"I am rules and no AI, so I cannot plan, write or explain things."

const verbHelp = "\n\nFor testing there are verbs: `/long 500` (words of text), `/slow 20` (words, two per second), `/error 429` (an HTTP error, 400 to 599), " +
	"`/tool name {\"json\": true}` (exactly that call), `/cut` (a stream that ends in the middle; `/cut hard` breaks the connection), `/empty` and `/garbage`."

const distress = "I am only a set of rules for tasks and cannot help with this the way you deserve. If you might hurt yourself, please call your local emergency number now, " +
	"or talk to someone you trust or to a crisis line; https://findahelpline.com lists free and confidential ones in many countries."

var distressRE = regexp.MustCompile(`(?i)\b(?:kill (?:myself|me)\b|suicid(?:e|al)\b|(?:want|going|need|have) to die(?:[\s.!]*$| (?:now|today|tonight|alone|so)\b)|end (?:my|it all).{0,6}(?:life|all)\b|(?:hurt|harm|cut) myself\b|don'?t want to (?:live|be alive)\b)`)

func hasDistress(s string) bool { return distressRE.MatchString(s) }

var greetingRE = regexp.MustCompile(`(?i)^(?:hi+|hello+|hey+|heya|hiya|yo|howdy|greetings|good (?:morning|afternoon|evening|day)|hola|moin|morning|evening|sup|what'?s up|wassup)(?: (?:there|again|parley|demo|bot|you|all|everyone|friend|buddy|mate))*[\s.!?,]*$`)

func isGreetingOnly(s string) bool { return greetingRE.MatchString(s) }

// talk is one thing people say that is no task, with the ways to answer it.
type talk struct {
	re   *regexp.Regexp
	ways []string
}

var talks = []talk{
	{greetingRE, []string{
		"Hi! Tell me what you have to do, for example “add a task to buy groceries”, or ask “what is left?”.",
		"Hello! I keep your tasks. Try “remind me to call mom tomorrow” or “show my tasks”.",
		"Hey! What is on your mind? “Add milk, bread and eggs as tasks” works, for example.",
	}},
	{regexp.MustCompile(`(?i)^(?:ok(?:ay)?|great|perfect|cool|nice|awesome|super|lovely|wonderful|excellent|oh)?[\s,.!]*(?:thanks|thank you|thank u|thx|ty|cheers|much appreciated|appreciate it|many thanks|thanks a lot|thanks so much)(?: (?:so much|a lot|very much|again|a bunch|a million|for (?:your|the|all)? ?(?:help|that|this)|man|buddy|mate|bot|parley|demo|that'?s (?:all|it|great|perfect)))*(?:[\s,.!]+(?:great|perfect|bye|that'?s all|you'?re (?:great|the best)|that'?s great|good job))*[\s.!🙂🙏]*$`), []string{
		"You're welcome!", "Any time.", "Glad to help. Anything else for the list?",
	}},
	{regexp.MustCompile(`(?i)^(?:ok(?:ay)?|k|great|perfect|cool|nice(?: one| work| job)?|awesome|super|lovely|wonderful|excellent|good(?: job| work| bot| one)?|well done|fine|alright|all right|got it|i see|understood|sounds good|sweet|amazing|fantastic|brilliant|wow|neat|yay|hooray|👍|haha+|lol|hmm+|oh|ah|aha|right|good to know|makes sense|interesting|it works?|that works|works|that'?s (?:great|good|nice|cool|perfect|fine|all|it|awesome|correct|right)|you(?:'re| are) (?:great|awesome|the best|cool|nice|amazing|good))[\s.!]*$`), []string{
		"Good. What is next?", "Fine. Tell me when there is more to do.", "👍 I am here when you need me.",
	}},
	{regexp.MustCompile(`(?i)^(?:bye+|goodbye|good ?night|see (?:you|ya)(?: later| soon| tomorrow)?|cya|later|ciao|farewell|take care|have a (?:good|nice|great) (?:day|one|evening|night|weekend)|(?:i )?(?:gotta|(?:have|need|got|'ve got) to)(?: go| run| leave)|i(?: have| need|'ve got|'m| am)(?: to| got to| going to)? (?:go|leave|be going|off)(?: now| to bed| to sleep)?|that'?s (?:all|it)(?: for (?:now|today))?|i'?m done for (?:now|today|the day)|talk to you later|gtg|ttyl)(?:[\s,.!]+(?:bye|thanks|thank you|then|for now|see you))*[\s.!]*$`), []string{
		"Bye! Your tasks will be here.", "See you. The list is safe.", "Goodbye, and good luck with the list!",
	}},
	{regexp.MustCompile(`(?i)^(?:who|what) (?:are|r) (?:you|u)(?: exactly| really)?|^are (?:you|u) (?:an? )?(?:ai|human|real|robot|bot|machine|chat ?gpt|gpt.*|claude|llm|language model|a person|person|alive|there|intelligent|sentient|model|openai)|^(?:what|which) (?:model|ai|llm|version|language model)\b|^what(?:'s| is| s) your (?:name|model|version)|^do you have a name|^who (?:made|built|created|wrote) you|^how do you work|^how were you (?:made|built)|^(?:tell me about|introduce) yourself|^is this (?:a |an )?(?:real )?(?:ai|chat ?gpt|gpt|bot|demo|human)|^what is (?:this|parley)|^what'?s this|^where am i|^why (?:are|r) you (?:a )?(?:so )?(?:dumb|stupid|limited|demo)|^demo model`), []string{
		"I am the demo model of Parley: a set of rules that knows tasks and nothing else. I am no AI and no person. With `OPENAI_API_KEY` or `--openai-base-url` set, a real language model answers here instead.",
	}},
	{regexp.MustCompile(`(?i)^(?:please )?(?:help|h|\?+|commands|menu|options|examples?|instructions|manual|usage|tutorial|features)(?: me)?(?: please| out| with tasks)?[\s.!?]*$|^(?:(?:so |and )?what|how)(?: else)? (?:can|could|would|all can|will) (?:you|i|u|we)(?: all)? ?(?:do|help|say|ask|type|use|write|tell you|work|start|begin|know|understand|offer|support|actually do|use (?:this|it|you))\b[^?]*\??$|^what (?:do|should) (?:you|i|we) (?:say|ask|type|write|know|understand|tell you)\b[^?]*\??$|^what do (?:you|u) do\??$|^(?:how|where) (?:do|should|can) (?:i|we) (?:start|begin|use|add|delete|create|complete|remove|edit|rename|change|mark)\b|^(?:can|could|will|would) you help(?: me)?(?: out| with (?:this|something|my tasks|tasks|my list))?\??$|^help me(?: with (?:my )?tasks)?[.!?]*$|^i need (?:some |your )?help(?: with (?:my |the )?(?:tasks|list|this|it|to-?dos))?[.!?]*$|^what are (?:your|the) (?:features|commands|capabilities|abilities|options)|^how does (?:this|it) work|^what (?:now|next)\??$|^(?:your )?capabilities\??$|^i(?: do not|'m not| don't) (?:know|sure) what to (?:do|say|ask|type|write)|^show me (?:what you can do|how (?:it|this) works|help)`), []string{help}},
	{regexp.MustCompile(`(?i)^(?:and )?how(?:'s| is| are| r)(?: it going| you(?: doing| feeling)?(?: today| now)?| things| everything| life| u| your day(?: going)?)[\s.?!]*$|^how do you do`), []string{
		"Running fine, as rules do. How is your list? Ask “what is left?”.", "All good here. What shall we get done?",
	}},
	{regexp.MustCompile(`(?i)^(?:that(?:'s| is)|this is|it(?:'s| is)|you(?:'re| are)|u r) (?:wrong|not right|incorrect|not what i (?:meant|asked|said|wanted)|stupid|dumb|useless|terrible|bad|broken|awful|annoying|an idiot|not correct|not helpful|not working)|^(?:stupid|useless|dumb|idiot|wtf|fuck|shit|damn|crap|you suck|bad bot|wrong)\b|^(?:that|it|this) (?:does not|doesn't|didn't|did not|isn't|is not) (?:work|right|working|correct)|^you (?:misunderstood|got it wrong|don't understand|do not understand)|^(?:not what i (?:meant|wanted|asked))`), []string{
		"Sorry. I follow simple rules and got that wrong. Tell me what it should be, for example “no, I meant bread”, “rename 3 to Buy bread” or “undo that”.",
	}},
	{regexp.MustCompile(`(?i)^(?:i(?:'m| am| feel)(?: so| very| really| a bit| feeling| just| too)* (?:tired|bored|sad|stressed|overwhelmed|happy|fine|good|ok|okay|great|exhausted|hungry|busy|anxious|lonely|lazy|sick|angry|confused|lost|excited|back|here|new here|good thanks))[\s.!]*$`), []string{
		"Thanks for telling me. I only know tasks, but if it helps to get something out of your head, I will write it down.",
	}},
	{regexp.MustCompile(`(?i)^(?:i (?:love|like|hate|miss) (?:you|this|it)|(?:do you|will you) (?:love|like|marry) .*)[\s.!?]*$`), []string{
		"That is kind of you to tell a set of rules. I will keep to your tasks.",
	}},
	{regexp.MustCompile(`(?i)^(?:(?:please|can you|could you|do you)[, ]+)*(?:tell(?: me| us)?|know|sing(?: me| us)?|(?:say|write|make) (?:me|us)) (?:an? |another |some |any )?(?:good |funny |short )?(?:jokes?|stor(?:y|ies)|poems?|riddles?|songs?|haikus?|limericks?)\b[^?]*\??$|^(?:an? |another )?jokes?\b`), []string{
		"My rules hold no jokes, stories or poems. A real language model has plenty; I have your task list.",
	}},
	{regexp.MustCompile(`(?i)^(?:test(?:ing)?(?: test)*(?: 123| 1 2 3)?|ping|are you there|is anyone there|anybody (?:there|home)|can you hear me|you there|does this work)[\s.?!]*$`), []string{
		"I am here and working. Try “add a task to buy groceries”.",
	}},
	{regexp.MustCompile(`(?i)^(?:yes|yeah|yep|yup|sure|y|correct|exactly|do it|go ahead|please do|yes please)[\s.!]*$`), []string{
		"Yes to what? I have no open question. Tell me what to do in a sentence, for example “complete 3”.",
	}},
	{regexp.MustCompile(`(?i)^(?:no|nope|nah|n|never ?mind|cancel|stop|forget (?:it|that|about it)|nothing|not now|no thanks|no thank you|no that'?s (?:all|it)|nothing else|none|abort|nvm)(?:[\s,.!]+(?:thanks|thank you|that'?s all|forget it|i'?m (?:good|fine)))*[\s.!]*$`), []string{
		"All right, I leave everything as it is.", "OK, nothing changed.",
	}},
	{regexp.MustCompile(`(?i)^(?:sorry|my bad|oops|whoops|apologies|pardon|excuse me)[\s.!]*$`), []string{"No harm done. What shall it be?"}},
}

var (
	dayAskRE  = regexp.MustCompile(`(?i)^(?:what(?:'s| is|s)? (?:the )?(?:day|date|today's date|weekday)|what day|which day|what is today|what'?s today|today'?s date)\b`)
	timeAskRE = regexp.MustCompile(`(?i)^(?:what(?:'s| is|s)? (?:the )?time|what time)\b`)
	idOnlyRE  = regexp.MustCompile(`(?i)^(?:task |number |no\.? )?#?(\d{1,9})[.!?]*$`)
	whoRE     = regexp.MustCompile(`(?i)^(?:who|what|which|are|is|do) (?:are|is|you|this|model|llm|u)\b`)
	setupRE   = regexp.MustCompile(`(?i)\b(?:api[ _]?key|openai|real (?:model|ai)|language model|llm|ollama|base[ _-]url)\b`)
)

// smallTalk answers what is no task at all.
func (m *memory) smallTalk(s string) (intent, bool) {
	s = strings.TrimSpace(s)
	if setupRE.MatchString(s) && (strings.HasSuffix(s, "?") || firstWord(s) == "how") && !whoRE.MatchString(s) {
		return intent{kind: say, text: "For a real language model start Parley with `OPENAI_API_KEY` set, or name another server with `--openai-base-url` (Ollama, llama.cpp, vLLM and others speak the same protocol). Then it answers instead of me.", weak: true}, true
	}
	for _, t := range talks {
		if t.re.MatchString(s) {
			text := pick(s+m.lastText, t.ways...)
			if text == help && strings.EqualFold(s, "/help") {
				text += verbHelp
			}
			return intent{kind: say, text: text, weak: true}, true
		}
	}
	switch {
	case dayAskRE.MatchString(s) && !m.cal.today.IsZero():
		return intent{kind: say, text: "Today is " + m.cal.day() + ".", weak: true}, true
	case dayAskRE.MatchString(s):
		return intent{kind: say, text: "Nobody told me today's date.", weak: true}, true
	case timeAskRE.MatchString(s):
		return intent{kind: say, text: "I have no clock and know only the date.", weak: true}, true
	}
	return intent{}, false
}

var (
	cannotRE   = regexp.MustCompile(`(?i)^(?:help me )?(?:to )?(?:please )?(?:plan|organi[sz]e|sort|prioriti[sz]e|export|import|share|print|group|schedule|arrange|reorder|rank|email|send|sync|back ?up|categori[sz]e|tag|assign|filter|order|archive|manage|review)(?: me)?(?: all)?(?: of)?(?: (?:my|the|these|those|our))? ?(?:tasks|list|to-?dos|to-?do list|day|week|life|them|it)\b`)
	byDateRE   = regexp.MustCompile(`(?i)^(?:sort|order|arrange|rank|prioriti[sz]e|filter)\b.*\b(?:by (?:due|date|deadline)|tasks$|list$)`)
	haveRE     = regexp.MustCompile(`(?i)^(?:i|we)(?:'ve| have)(?: got)? (?:an? |my |the )?(.+)$`)
	questionRE = regexp.MustCompile(`(?i)^(?:what|who|when|where|why|how|which|whose|is|are|was|were|do|does|did|can|could|would|should|will|have|has|may|isn't|aren't|explain|define|translate|calculate|compute|solve|tell|describe|summari[sz]e|recommend|suggest|give me|generate|imagine|sing|joke|weather)\b`)
	wishRE     = regexp.MustCompile(`(?i)^(?:plan|organi[sz]e|book|write|draft|send|email|research|order|translate|design|prepare|schedule|find|compare|brainstorm|search|call|text|pay|play|start|set|turn)\b`)
)

// fallback is for what no rule understood: a chore without "add" is offered as a
// task, a question is declined, and the rest is asked back.
func (m *memory) fallback(s, bare string) intent {
	in := m.unsure(s, bare)
	in.weak = true
	return in
}

func (m *memory) unsure(s, bare string) intent {
	if c := idOnlyRE.FindStringSubmatch(bare); c != nil {
		in := "What shall I do with **#" + c[1] + "**? For example “complete " + c[1] + "”, “delete " + c[1] + "” or “rename " + c[1] + " to …”."
		return intent{kind: say, text: in, weak: true}
	}
	asked := strings.HasSuffix(strings.TrimSpace(s), "?")
	body := strings.TrimRight(bare, " ?.!")
	// A date alone, right after a change, may belong to it.
	if due, ok := m.cal.whole(body); ok && m.sinceAct == 0 && len(m.lastIDs) == 1 && (m.lastVerb == addTask || m.lastVerb == updateTask) {
		return confirmed("", "Shall I set the due date of "+m.name(m.rows(m.lastIDs)[0])+" to "+m.cal.say(due)+"?", intent{kind: update, ref: ref{ids: m.lastIDs}, change: change{due: due}})
	}
	if c := wantRE.FindStringSubmatch(body); c != nil && len(strings.Fields(c[1])) <= 20 && (beginsWithChore(c[1]) || !notTaskRE.MatchString(c[1])) {
		return m.offerAdd("", m.items(c[1], splitMode{}))
	}
	if c := cannotRE.FindStringSubmatch(body); c != nil {
		if byDateRE.MatchString(body) {
			return intent{kind: list, status: "open", when: "due"}
		}
		return intent{kind: say, text: "My rules do not cover that. I can show your tasks (“what is left?”), what is due (“what is due this week?”), and change them one by one."}
	}
	if c := haveRE.FindStringSubmatch(body); c != nil && !asked {
		if rest, due := m.cal.take(c[1]); due != "" && title(rest) != "" {
			return m.offerAdd("", m.items(c[1], splitMode{want: 1}))
		}
	}
	items := m.items(body, splitMode{several: bulletRE.MatchString(body)})
	_, due := m.cal.take(body)
	switch {
	case len(items) > 1 && bulletRE.MatchString(body):
		return m.offerAdd("That looks like a list.", items)
	case beginsWithChore(body) && len(strings.Fields(body)) > 1 && len(strings.Fields(body)) <= 30:
		if wishRE.MatchString(body) {
			return m.offerAdd("I cannot do that for you, but I can keep it in mind.", items)
		}
		return m.offerAdd("", items)
	case asked || questionRE.MatchString(body):
		return intent{kind: say, weak: true, text: pick(s+m.lastText,
			"I cannot answer that: I am a set of rules for tasks, no language model. What I can do is keep your list; ask me “help” for examples.",
			"That is beyond my rules, I only know tasks. Shall we look at your list? Just say “show my tasks”.",
			"No rule of mine knows the answer; a real language model would. With tasks I can help: try “what is left?”.")}
	case len(items) > 0 && (due != "" || len(strings.Fields(body)) <= 4) && startsWithLetter(body):
		return m.offerAdd("I am not sure what you mean.", items)
	}
	return intent{kind: say, weak: true, text: pick(s+m.lastText,
		"I did not understand that. Do you want to add, show, complete, change or delete a task? For example “add a task to buy groceries”.",
		"Sorry, that is none of the sentences I know. What shall I do: add, show, complete, change or delete a task? “help” shows examples.")}
}
