package events_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/parleychat/parley/events"
)

func TestValidID(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "a", "Z9_-", "a.b", "a*", "a>", "a b", "a\n", "\x00", "é", "a/b", "a:b", "@", "[", "`", "{",
		strings.Repeat("x", 64), strings.Repeat("x", 65), strings.Repeat("x", 5000),
	} {
		if got, want := events.ValidID(s), validByRegexp(s); got != want {
			t.Errorf("ValidID(%.70q) = %t, want %t", s, got, want)
		}
	}
}

func TestParseUserID(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"auth", "dev", "config", "internal", "", "a.b", strings.Repeat("x", 65)} {
		if u, err := events.ParseUserID(s); !errors.Is(err, events.ErrInvalidID) || u != "" {
			t.Errorf("ParseUserID(%q) = %q, %v, want ErrInvalidID", s, u, err)
		}
	}
	for _, s := range []string{"ada", "Auth", "devil", "a", "0190b0a0-7b7a-7c3e-9d1e-0123456789ab"} {
		if u, err := events.ParseUserID(s); err != nil || string(u) != s {
			t.Errorf("ParseUserID(%q) = %q, %v", s, u, err)
		}
	}
}

// Derived ids are in every log: a change of a derivation meets none of them.
func TestDerivationsAreFixed(t *testing.T) {
	t.Parallel()
	run := events.RunIDFor("ada", "c1", "m1")
	for name, tt := range map[string]struct{ got, want string }{
		"UserKey":           {events.UserKey("ada"), "ecsephasopxe54bsvbs4iarvwo"},
		"ConversationIDFor": {string(events.ConversationIDFor("ada", "m1")), "hq3qymogzxso2be37dqw3tzn7r"},
		"RunIDFor":          {string(run), "a3gvi4p3fqkiv5cftorbpdl6fh"},
		"CallIDFor":         {string(events.CallIDFor(run, 2, 3)), string(run) + "-2-3"},
		"HandCallID":        {string(events.HandCallID("ada", "m1")), "fk5yi35zadwyytohw6qkk2pfkg"},
		"KeyID":             {string(events.KeyID("ada", "m1")), "fch73qtc7qsf75b7ibgyqmsao2"},
		"ResultID":          {events.ResultID("c-1-0"), "c-1-0.res"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s = %q, want %q", name, tt.got, tt.want)
		}
	}
}

// B may reuse every id of A: nothing derived from them ever meets.
func TestDerivedIDsContainThePerson(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	meet := func(id, what string) {
		if !events.ValidID(id) {
			t.Errorf("%s is no id: %q", what, id)
		}
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s are both %q", what, other, id)
		}
		seen[id] = what
	}
	// Ids that would meet if the parts were merely put together.
	words := []string{"a", "aa", "ab", "b", "ba", "run", "user", "conversation", "hand", "key"}
	for _, u := range words {
		user := events.UserID(u)
		meet(events.UserKey(user), "user "+u)
		for _, m := range words {
			message := events.MessageID(m)
			meet(string(events.ConversationIDFor(user, message)), "conversation "+u+","+m)
			meet(string(events.HandCallID(user, m)), "hand call "+u+","+m)
			meet(string(events.KeyID(user, m)), "key "+u+","+m)
			for _, c := range words {
				run := events.RunIDFor(user, events.ConversationID(c), message)
				meet(string(run), "run "+u+","+c+","+m)
				meet(string(events.CallIDFor(run, 1, 0)), "call "+u+","+c+","+m)
			}
		}
	}
	items := map[string]bool{}
	for _, u := range []events.UserID{"a", "b"} {
		for _, revoke := range []bool{false, true} {
			w := events.WorkItem{UserID: u, ConversationID: "c", CallID: "r-1-0", Revoke: revoke}
			items[w.DedupeID()] = true
		}
	}
	if len(items) != 4 {
		t.Errorf("the work items of two persons and their revokes have %d dedupe ids, want 4: %v", len(items), items)
	}
}

func TestKeysOfAnyKindGiveIDs(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "a b", "\x00", strings.Repeat("é", 9000), "\xff"} {
		if id := events.KeyID("ada", key); !events.ValidID(id) {
			t.Errorf("KeyID(%.20q) = %q", key, id)
		}
		if id := events.HandCallID("ada", key); !events.ValidID(id) {
			t.Errorf("HandCallID(%.20q) = %q", key, id)
		}
	}
}

func TestRunOf(t *testing.T) {
	t.Parallel()
	for _, r := range []events.RunID{"r", "r-1", "a-b-c-d", "-", events.RunIDFor("ada", "c", "m")} {
		for _, at := range [][2]int{{1, 0}, {12, 31}} {
			if got := events.RunOf(events.CallIDFor(r, at[0], at[1])); got != r {
				t.Errorf("RunOf(%s) = %q, want %q", events.CallIDFor(r, at[0], at[1]), got, r)
			}
		}
	}
	for _, c := range []events.CallID{"", "x", "x-1", events.HandCallID("ada", "k")} {
		if got := events.RunOf(c); got != "" {
			t.Errorf("RunOf(%q) = %q, want none", c, got)
		}
	}
	longest := events.CallIDFor(events.RunIDFor("ada", "c", "m"), 1<<31, 1<<31)
	if !events.ValidID(longest) {
		t.Errorf("%q is too long", longest)
	}
}

func ExampleRunIDFor() {
	first := events.RunIDFor("ada", "c1", "m1")
	retry := events.RunIDFor("ada", "c1", "m1")
	other := events.RunIDFor("bob", "c1", "m1")
	fmt.Println(first == retry, first == other)
	// Output: true false
}
