package events_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parleychat/parley/events"
)

func TestInboxSubjects(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"message": "in.msg.", "regenerate": "in.msg.", "call_tool": "in.msg.", "answer": "in.msg.",
		"cancel": "in.ctl.", "rename": "in.ctl.", "pin": "in.ctl.", "archive": "in.ctl.", "read": "in.ctl.", "delete": "in.ctl.", "restore": "in.ctl.", "rate": "in.ctl.",
		"result": "in.res.", "run_deadline": "timer.fired.", "approval_expiry": "timer.fired.",
	}
	seen := map[string]bool{}
	for _, i := range inboxes() {
		ref, err := i.Ref()
		if err != nil {
			t.Fatal(err)
		}
		name := i.Command.CommandType()
		seen[name] = true
		if got := i.Subject(ref); want[name] == "" || !strings.HasPrefix(got, want[name]) {
			t.Errorf("%s goes to %q, want %q", name, got, want[name])
		}
		b, err := i.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := events.DecodeInbox(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(i, got, sameJSON); diff != "" {
			t.Errorf("%s (-before +after):\n%s", name, diff)
		}
	}
	for name := range want {
		if !seen[name] {
			t.Errorf("no example of %s", name)
		}
	}
}

func TestDecodeInboxRefuses(t *testing.T) {
	t.Parallel()
	good, err := inboxes()[0].Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, old, new string
		want           error
	}{
		{"version 2", `"v":1`, `"v":2`, events.ErrVersion},
		{"no version", `"v":1,`, ``, events.ErrVersion},
		{"no id", `"i0"`, `""`, events.ErrMalformed},
		{"no person", `"ada"`, `""`, events.ErrMalformed},
		{"injection", `"c1"`, `"c1.x"`, events.ErrMalformed},
		{"no command", `{"type":"message","text":"Hello"}`, `null`, events.ErrMalformed},
		{"an unknown command", `"message"`, `"dance"`, events.ErrMalformed},
		{"a name twice", `"text":`, `"text":"a","text":`, events.ErrMalformed},
		{"a name in other case", `"user_id"`, `"USER_ID"`, events.ErrMalformed},
	} {
		bad := strings.Replace(string(good), tt.old, tt.new, 1)
		if bad == string(good) {
			t.Fatalf("%s: %s has no %s", tt.name, good, tt.old)
		}
		if i, err := events.DecodeInbox([]byte(bad)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, %v, want %v", tt.name, i, err, tt.want)
		}
	}
}

func TestWorkItems(t *testing.T) {
	t.Parallel()
	for _, w := range workItems() {
		b, err := w.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := events.DecodeWorkItem(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, got, sameJSON); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
		for _, tt := range []struct {
			name, old, new string
			want           error
		}{
			{"version", `"v":1`, `"v":3`, events.ErrVersion},
			{"server", `"server":"tasks"`, `"server":"tasks.>"`, events.ErrMalformed},
			{"no server", `"server":"tasks",`, ``, events.ErrMalformed},
			{"no call", `"call_id":"` + string(w.CallID) + `"`, `"call_id":""`, events.ErrMalformed},
			{"person", `"ada"`, `"a*"`, events.ErrMalformed},
			{"no object", string(b), `"x"`, events.ErrMalformed},
		} {
			bad := strings.Replace(string(b), tt.old, tt.new, 1)
			if bad == string(b) {
				t.Fatalf("%s: %s has no %s", tt.name, b, tt.old)
			}
			if _, err := events.DecodeWorkItem([]byte(bad)); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
	}
}
