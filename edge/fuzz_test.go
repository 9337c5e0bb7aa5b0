package edge

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
)

// Whatever a client says it has, the answer is a number in range or a refusal,
// and what is taken has one spelling per conversation.
func FuzzResume(f *testing.F) {
	for _, s := range []string{"0", "17", "-1", "c:17", "other:3", "c:", "1e3", "+1", " 1", "9223372036854775807", "9223372036854775808", "../../x\x01", "c:c:1", "０"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseEventID(s, "c")
		if err != nil {
			if a := apiErrorOf(err); a.status != 400 || strings.Contains(a.message, s) && len(s) > 3 {
				t.Errorf("refusal %+v of %q", a, s)
			}
			return
		}
		digits := strings.TrimPrefix(s, "c:")
		if strings.Trim(digits, "0123456789") != "" || n > 1<<63-1 {
			t.Errorf("%q was taken as %d", s, n)
		}
	})
}

// A client's frame never panics, and what is taken fits the bounds that the
// commands rest on.
func FuzzClientFrame(f *testing.F) {
	for _, s := range []string{
		`{"type":"connect","token":"x"}`, `{"type":"subscribe","conversation_id":"c","after":3}`, `{"type":"subscribe","after":-1}`,
		`{"type":"message","id":"m","message":"hi","timezone":"Europe/Berlin"}`, `{"type":"message","type":"subscribe"}`, `[]`, `null`, `{"type":"mess`,
		`{"type":"call_tool","id":"m","name":"add_task","arguments":{"a":[{}]}}`, `{"TYPE":"ping"}`, `{"type":"ping","x":"\ud800"}`, "{\"type\":\"ping\xff\"}",
		strings.Repeat(`[`, 100), `{"type":"pin","pinned":null}`, `{"type":"archive","archived":"x"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, refusal := decodeFrame(b)
		if refusal != nil {
			if refusal.status/100 != 4 || refusal.code == "" || refusal.message == "" {
				t.Errorf("refusal %+v", refusal)
			}
			return
		}
		if !utf8.Valid(b) || jsontext.Value(b).Kind() != '{' {
			t.Errorf("taken: %q", b)
		}
		if len(frame.Arguments) > 0 && !frame.Arguments.IsValid() {
			t.Errorf("arguments %q", frame.Arguments)
		}
		hasNUL(frame.Arguments)
	})
}

// The quick way to read a delta and the long way agree.
func FuzzDelta(f *testing.F) {
	for _, text := range []string{"", "hello", "ü\n\"\\\u2028🙂", `","offset":7,"text":"`, "\x00\x1f"} {
		f.Add(text, 1, 1, 0)
	}
	f.Fuzz(func(t *testing.T, text string, step, attempt, offset int) {
		if !utf8.ValidString(text) {
			t.Skip("deltas carry whole runes")
		}
		d := events.Delta{ConversationID: "c", RunID: "r", Step: step, Attempt: attempt, Offset: offset, Text: text}
		raw := d.Append(nil)
		got, err := decodeDelta(raw)
		if err != nil || got != d {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	})
}

// What stands in the URL never reaches a subject unchecked.
func FuzzConversationID(f *testing.F) {
	for _, s := range []string{"c", "a.b", "*", ">", "%2e", "a b", "", strings.Repeat("x", 65)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := events.NewRef("ana", events.ConversationID(s))
		if err != nil {
			return
		}
		if strings.Count(r.Snapshot(), ".") != 3 || url.PathEscape(s) != s {
			t.Errorf("%q gives %q", s, r.Snapshot())
		}
	})
}
