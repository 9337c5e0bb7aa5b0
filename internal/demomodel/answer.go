package demomodel

import (
	"regexp"
	"strings"
)

const maxTitleWords = 6

// answer decides what a request is answered with. It depends on nothing else.
func answer(req *request) outcome {
	system, turns := readTurns(req.Messages)
	last := len(turns) - 1
	t := turns[last]
	if strings.Contains(system, "Write a title") {
		return outcome{text: titleFor(turns)}
	}
	if out, ok := verb(t); ok {
		return out
	}
	var tools []tool
	if req.toolsAllowed() {
		tools = req.Tools
	}
	out := remember(system, tools, turns[:last]).respond(t)
	if len(out.calls) == 0 && isFirst(turns[:last]) {
		out.text += "\n\n" + Notice
	}
	return out
}

// isFirst: nobody has answered yet, test verbs aside.
func isFirst(before []turn) bool {
	for _, t := range before {
		if strings.TrimSpace(t.text) != "" && !isVerb(t.user) {
			return false
		}
	}
	return true
}

var (
	exchangeRE = regexp.MustCompile(`(?is)^\s*(?:user|person|human)\s*:\s*(.+?)\s*(?:\n\s*(?:assistant|model|ai|answer)\s*:.*)?$`)
	titleCutRE = regexp.MustCompile(`(?i)^(?:(?:please|can you|could you|would you|i need to|i have to|i want to|i'd like to|remind me to|remind me about|help me(?: to)?|tell me(?: about)?|what is|what's|what are|who is|how do i|how to|how can i|the)\s+)+`)
)

// titleFor names a conversation after its first message.
func titleFor(turns []turn) string {
	text := tidy(turns[0].user)
	if m := exchangeRE.FindStringSubmatch(turns[0].user); m != nil {
		text = tidy(m[1])
	}
	if isVerb(text) {
		return fewWords("Test " + strings.TrimPrefix(firstWord(text), "/"))
	}
	m := remember("", nil, nil)
	in := m.understand(text)[0]
	switch in.kind {
	case add:
		var names []string
		for _, it := range in.items {
			names = append(names, it.title)
			if len(names) > 1 {
				names[len(names)-1] = lowerFirst(it.title)
			}
		}
		if t := join(names, "and"); len(strings.Fields(t)) <= maxTitleWords {
			return fewWords(t)
		}
		return fewWords(in.items[0].title)
	case list:
		switch {
		case in.query != "":
			return fewWords("Search: " + in.query)
		case in.status == "completed":
			return "Completed tasks"
		case in.when == "overdue":
			return "Overdue tasks"
		case in.when != "":
			return "What is due"
		case in.status == "open":
			return "What is left"
		}
		return "Task overview"
	case complete:
		return fewWords("Complete " + refTitle(in.ref))
	case remove:
		return fewWords("Delete " + refTitle(in.ref))
	case update, reopen:
		return fewWords("Change " + refTitle(in.ref))
	default:
	}
	bare := strip(text)
	switch {
	case in.ask != nil && in.ask.what == yesNo && len(in.ask.then) == 1 && in.ask.then[0].kind == add:
		return fewWords(in.ask.then[0].items[0].title)
	case isGreetingOnly(text):
		return "Greeting"
	case in.text == help:
		return "What I can do"
	}
	if t := titleCutRE.ReplaceAllString(bare, ""); t != "" {
		return fewWords(t)
	}
	return "New conversation"
}

func refTitle(r ref) string {
	switch {
	case r.words != "":
		return r.words
	case r.all != "":
		return "all tasks"
	case len(r.ids) > 1, len(r.places) > 1, r.them:
		return "tasks"
	}
	return "a task"
}

func lowerFirst(s string) string {
	if len(s) > 1 && s[0] >= 'A' && s[0] <= 'Z' && (s[1] < 'A' || s[1] > 'Z') {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

// fewWords keeps a title short and free of end marks and markdown.
func fewWords(s string) string {
	words := strings.Fields(markdownRE.ReplaceAllString(s, ""))
	if len(words) > maxTitleWords {
		words = words[:maxTitleWords]
		for len(words) > 1 && stopWords[strings.ToLower(words[len(words)-1])] {
			words = words[:len(words)-1]
		}
	}
	t := strings.Trim(short(strings.Join(words, " "), 60), " .,;:!?\"'")
	if t == "" {
		return "New conversation"
	}
	return capitalise(t)
}
