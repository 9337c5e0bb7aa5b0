package demomodel

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

type faultKind int

const (
	faultNone faultKind = iota
	faultCut
	faultBreak
	faultGarbage
)

// fault is how an answer misbehaves on purpose.
type fault struct {
	kind faultKind
	err  *apiError
	rate float64 // tokens per second, whatever the server's own; 0 = the server's
}

const (
	maxWords    = 20000
	maxRawCalls = 64
)

var verbRE = regexp.MustCompile(`(?s)^/(help|long|slow|error|tool|cut|empty|garbage)(?:\s+(.*))?$`)

func isVerb(text string) bool { return verbRE.MatchString(strings.TrimSpace(text)) }

// verb answers a test verb. ok is false if the text is none.
func verb(t turn) (out outcome, ok bool) {
	c := verbRE.FindStringSubmatch(strings.TrimSpace(t.user))
	if c == nil {
		return outcome{}, false
	}
	arg := strings.TrimSpace(c[2])
	n, err := strconv.Atoi(firstWord(arg))
	given := err == nil && n > 0
	switch c[1] {
	case "help":
		return outcome{text: help + verbHelp}, true
	case "long":
		if !given {
			n = 500
		}
		return outcome{text: prose(min(n, maxWords))}, true
	case "slow":
		if !given {
			n = 20
		}
		return outcome{text: prose(min(n, maxWords)), fault: fault{rate: 2}}, true
	case "error":
		return httpError(arg), true
	case "cut":
		kind := faultCut
		if strings.EqualFold(arg, "hard") {
			kind = faultBreak
		}
		return outcome{text: "This answer is cut off in the mid", fault: fault{kind: kind}}, true
	case "empty":
		return outcome{}, true
	case "garbage":
		return outcome{fault: fault{kind: faultGarbage}}, true
	default:
		return rawCalls(t), true
	}
}

func httpError(arg string) outcome {
	f := strings.Fields(arg)
	status := 500
	if len(f) > 0 {
		n, err := strconv.Atoi(f[0])
		if err != nil || n < 400 || n > 599 {
			return outcome{text: "Write `/error` with a status from 400 to 599, for example `/error 429`."}
		}
		status = n
	}
	e := &apiError{Status: status, Type: "server_error", Code: "server_error", Message: "The demo model was asked to fail with this status."}
	switch {
	case status == http.StatusTooManyRequests:
		e.Type, e.Code = "requests", "rate_limit_exceeded"
	case status == http.StatusUnauthorized:
		e.Type, e.Code = "invalid_request_error", "invalid_api_key"
	case status < 500:
		e.Type, e.Code = "invalid_request_error", "invalid_request"
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		e.RetryAfter = 1
		if len(f) > 1 {
			if n, err := strconv.Atoi(f[1]); err == nil && n > 0 && n <= 86400 {
				e.RetryAfter = n
			}
		}
	}
	return outcome{fault: fault{err: e}}
}

var toolVerbRE = regexp.MustCompile(`(?s)^/tool\s+(\S{1,128})\s*(.*)$`)

// rawCalls makes the calls that the lines name, then shows what came back.
func rawCalls(t turn) outcome {
	const usage = "Write `/tool name {\"argument\": \"value\"}`: the arguments must be one JSON object, or nothing."
	if t.rounds > 0 {
		var parts []string
		for _, a := range t.acts {
			parts = append(parts, "`"+strings.ReplaceAll(a.name, "`", "'")+"` answered:\n\n"+fence(a.raw))
		}
		return outcome{text: strings.Join(parts, "\n\n")}
	}
	var calls []call
	for i, line := range strings.Split("\n"+strings.TrimSpace(t.user), "\n/tool") {
		if i == 0 {
			continue
		}
		c := toolVerbRE.FindStringSubmatch("/tool" + line)
		if c == nil || len(calls) == maxRawCalls {
			return outcome{text: usage}
		}
		args := strings.TrimSpace(c[2])
		if args == "" {
			args = "{}"
		}
		if v := jsontext.Value(args); !v.IsValid() || v.Kind() != '{' {
			return outcome{text: usage}
		}
		calls = append(calls, call{c[1], args})
	}
	if len(calls) == 0 {
		return outcome{text: usage}
	}
	return outcome{calls: calls}
}

// fence is a code block that its content cannot end.
func fence(s string) string {
	ticks := "```"
	for strings.Contains(s, ticks) {
		ticks += "`"
	}
	return ticks + "json\n" + s + "\n" + ticks
}

var sentences = []string{
	"This is text without a meaning, written to be long.",
	"A conversation is a log, and each event in it has one place.",
	"Words arrive one after the other, and none of them arrives twice.",
	"When a process dies in the middle, another one takes over.",
	"The reader sees a pause, and then the text goes on.",
	"A number at the side counts what was stored, not what was sent.",
	"Nothing here was thought by anyone.",
	"Streams are patient; people are less so.",
	"After enough sentences they begin again from the first.",
}

// prose is text of exactly n words.
func prose(n int) string {
	var b strings.Builder
	for i, s := 0, 0; i < n; s++ {
		for w := range strings.FieldsSeq(sentences[s%len(sentences)]) {
			if i == n {
				break
			}
			switch {
			case i == 0:
			case b.String()[b.Len()-1] == '.' && s%5 == 0:
				b.WriteString("\n\n")
			default:
				b.WriteByte(' ')
			}
			b.WriteString(w)
			i++
		}
	}
	text := b.String()
	if !strings.HasSuffix(text, ".") {
		text = strings.TrimRight(text, ",;") + "."
	}
	return text
}
