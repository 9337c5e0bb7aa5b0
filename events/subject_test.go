package events_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/parleychat/parley/events"
)

const subjectChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."

var idRegexp = regexp.MustCompile(`\A[A-Za-z0-9_-]{1,64}\z`)

func validByRegexp(s string) bool { return idRegexp.MatchString(s) }

// A subject is one of a Ref's subjects with what is fixed about it.
type subject struct {
	name, got, prefix string
	dots              int
	token             string // which argument besides the Ref is in it
}

func subjectsOf(r events.Ref, server, timer string) []subject {
	return []subject{
		{"Message", r.Message(), "in.msg.", 4, ""},
		{"Control", r.Control(), "in.ctl.", 4, ""},
		{"Result", r.Result(), "in.res.", 4, ""},
		{"Log", r.Log(), "log.", 3, ""},
		{"Live", r.Live(), "live.log.", 4, ""},
		{"Delta", r.Delta(), "delta.", 3, ""},
		{"Signal", r.Signal(), "signal.", 3, ""},
		{"Snapshot", r.Snapshot(), "snapshot.", 3, ""},
		{"Work", r.Work(server), "work." + server + ".", 4, "server"},
		{"TimerAt", r.TimerAt(timer), "timer.at.", 5, "timer"},
		{"TimerFired", r.TimerFired(), "timer.fired.", 4, ""},
	}
}

func tokenOf(name, server, timer string) *string {
	if name == "server" {
		return &server
	}
	return &timer
}

// Subjects are stored in streams for ever: a change here loses conversations.
func TestSubjectsAreFixed(t *testing.T) {
	t.Parallel()
	r, err := events.NewRef("ada", "c1")
	if err != nil {
		t.Fatal(err)
	}
	const path = "0e.ecsephasopxe54bsvbs4iarvwo.c1"
	want := map[string]string{
		"Message": "in.msg." + path, "Control": "in.ctl." + path, "Result": "in.res." + path, "Log": "log." + path,
		"Live": "live.log." + path, "Delta": "delta." + path, "Signal": "signal." + path, "Snapshot": "snapshot." + path,
		"Work": "work.tasks." + path, "TimerAt": "timer.at." + path + ".t1", "TimerFired": "timer.fired." + path,
	}
	for _, s := range subjectsOf(r, "tasks", "t1") {
		if s.got != want[s.name] {
			t.Errorf("%s = %q, want %q", s.name, s.got, want[s.name])
		}
	}
	if got := events.LiveOf("ada"); got != "live.log.*.ecsephasopxe54bsvbs4iarvwo.*" {
		t.Errorf("LiveOf = %q", got)
	}
	if r.String() != path || r.User() != "ada" || r.Conversation() != "c1" {
		t.Errorf("ref = %q of %q, %q", r, r.User(), r.Conversation())
	}
}

func TestNoSubjectsWithoutARef(t *testing.T) {
	t.Parallel()
	for _, s := range subjectsOf(events.Ref{}, "tasks", "t1") {
		if s.got != "" {
			t.Errorf("%s of the zero Ref = %q", s.name, s.got)
		}
	}
}

func TestLiveOfMatchesOnlyThePersonsConversations(t *testing.T) {
	t.Parallel()
	for _, user := range []events.UserID{"ada", "bob"} {
		ref, err := events.NewRef(user, "c1")
		if err != nil {
			t.Fatal(err)
		}
		pattern := strings.Split(events.LiveOf("ada"), ".")
		tokens := strings.Split(ref.Live(), ".")
		matches := len(pattern) == len(tokens)
		for i := range tokens {
			matches = matches && (pattern[i] == "*" || pattern[i] == tokens[i])
		}
		if matches != (user == "ada") {
			t.Errorf("%s matches %s = %t", events.LiveOf("ada"), ref.Live(), matches)
		}
	}
}

func TestConversationOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		subject string
		want    events.ConversationID
	}{
		{"log.b0.u.c1", "c1"}, {"c1", "c1"}, {"", ""}, {"log.", ""}, {"log.*", ""}, {"log.>", ""}, {"log.a b", ""},
	} {
		if got := events.ConversationOf(tt.subject); got != tt.want {
			t.Errorf("ConversationOf(%q) = %q, want %q", tt.subject, got, tt.want)
		}
	}
}

func TestPersonOf(t *testing.T) {
	t.Parallel()
	ref, err := events.NewRef("ada", "c1")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range subjectsOf(ref, "tasks", "t1") {
		if got := events.PersonOf(s.got); s.name != "TimerAt" && got != events.UserKey("ada") {
			t.Errorf("PersonOf(%s) = %q", s.got, got)
		}
	}
	for _, s := range []string{"", "a", "a.b", "."} {
		if got := events.PersonOf(s); got != "" {
			t.Errorf("PersonOf(%q) = %q, want none", s, got)
		}
	}
}

func TestShardsAreSpread(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	const n = 5120
	for i := range n {
		r, err := events.NewRef("ada", events.ConversationID(fmt.Sprintf("c%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		sh, _, _ := strings.Cut(r.String(), ".")
		seen[sh]++
	}
	if len(seen) != 256 {
		t.Errorf("%d conversations of one person are on %d of 256 shards", n, len(seen))
	}
	for sh, k := range seen {
		if len(sh) != 2 || k > 5*n/256 {
			t.Errorf("shard %q has %d of %d conversations", sh, k, n)
		}
	}
}
