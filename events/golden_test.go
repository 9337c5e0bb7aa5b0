package events_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/parleychat/parley/events"
)

var update = flag.Bool("update", false, "rewrite the golden logs in testdata")

// shown is how many runs the state of a golden log shows, as GET …/messages does.
const shown = 60

// archive returns the story as its golden file.
func (g golden) archive(t *testing.T) *txtar.Archive {
	t.Helper()
	s := g.begin(t)
	a := &txtar.Archive{
		Comment: []byte(g.guards + "\n"),
		Files: []txtar.File{
			{Name: "commits.jsonl", Data: s.lines()},
			{Name: "state.json", Data: indented(t, s.state.Base(shown))},
		},
	}
	for _, b := range s.bases {
		a.Files = append(a.Files, txtar.File{Name: fmt.Sprintf("base-%d-%d.json", b.n, b.limit), Data: indented(t, b.state)})
	}
	return a
}

func indented(t *testing.T, c *events.Conversation) []byte {
	t.Helper()
	v := jsontext.Value(encode(t, c))
	if err := v.Indent(jsontext.WithIndent("  ")); err != nil {
		t.Fatal(err)
	}
	return append(v, '\n')
}

func encode(t testing.TB, c *events.Conversation) []byte {
	t.Helper()
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			name := filepath.Join("testdata", g.name+".txtar")
			got := txtar.Format(g.archive(t))
			if *update {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-file +story), go test ./events -update rewrites:\n%s", name, diff)
			}
		})
	}
}

// Readers of the files see no Go: what the files hold must fold to what they say.
func TestGoldenFilesFold(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) != len(goldens) {
		t.Fatalf("%d golden logs in testdata, want %d (err %v)", len(names), len(goldens), err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			commits := storedCommits(t, a)
			state := fold(t, commits)
			for _, f := range a.Files[1:] {
				at, limit := uint64(len(commits)), shown
				if f.Name != "state.json" {
					if _, err := fmt.Sscanf(f.Name, "base-%d-%d.json", &at, &limit); err != nil {
						t.Fatalf("%s: %v", f.Name, err)
					}
				}
				got := indented(t, fold(t, commits[:at]).Base(limit))
				if diff := cmp.Diff(string(f.Data), string(got)); diff != "" {
					t.Errorf("%s (-file +fold):\n%s", f.Name, diff)
				}
				b, err := events.FromBase(f.Data)
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range commits[at:] {
					apply(t, b, c)
				}
				sameAsWhole(t, b, state)
			}
		})
	}
}

func storedCommits(t *testing.T, a *txtar.Archive) []*events.Commit {
	t.Helper()
	if a.Files[0].Name != "commits.jsonl" || !bytes.HasSuffix(a.Comment, []byte(".\n")) {
		t.Fatal("a golden log opens with a sentence and commits.jsonl")
	}
	var list []*events.Commit
	for line := range strings.Lines(string(a.Files[0].Data)) {
		c, err := events.DecodeCommit([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimSuffix(line, "\n"), string(again)); diff != "" {
			t.Errorf("commit %d is not stored as it is encoded (-file +encoded):\n%s", c.N, diff)
		}
		list = append(list, c)
	}
	return list
}

// Every event and every code path of the fold that a reader in another
// language must copy is in some golden log.
func TestGoldensCoverTheVocabulary(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	status := map[string]bool{}
	for _, g := range goldens {
		for _, c := range g.begin(t).commits {
			for _, e := range c.Events {
				seen[e.EventType()] = true
			}
		}
		s := tell(t, ada, g.begin(t).ref.Conversation())
		for _, c := range g.begin(t).commits {
			apply(t, s.state, c)
			for _, r := range s.state.Runs {
				status[string(r.Status)] = true
				for _, k := range r.Calls {
					status[string(k.Status)] = true
				}
			}
		}
	}
	for _, name := range events.EventTypes() {
		if !seen[name] {
			t.Errorf("no golden log has a %s", name)
		}
	}
	for _, want := range []events.Status{
		events.Queued, events.InProgress, events.RequiresAction, events.Cancelling, events.Completed, events.Failed, events.Cancelled,
	} {
		if !status[string(want)] {
			t.Errorf("no run of a golden log is ever %s", want)
		}
	}
	for _, want := range []events.CallStatus{
		events.CallWaiting, events.CallAsking, events.CallRunning, events.CallDone, events.CallFailed, events.CallDenied, events.CallStopped,
	} {
		if !status[string(want)] {
			t.Errorf("no call of a golden log is ever %s", want)
		}
	}
}

// A later version's fields on known events are ignored, not refused.
func TestUnknownFields(t *testing.T) {
	t.Parallel()
	s := goldens[0].begin(t)
	want := fold(t, s.commits)
	got := events.NewConversation(s.ref)
	for _, c := range s.commits {
		line, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		m["mood"] = map[string]any{"n": 1}
		for _, e := range m["events"].([]any) {
			e.(map[string]any)["N"] = "case matters"
			e.(map[string]any)["future"] = []any{1, nil}
		}
		line, err = json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		c, err := events.DecodeCommit(line)
		if err != nil {
			t.Fatal(err)
		}
		apply(t, got, c)
	}
	if diff := cmp.Diff(string(encode(t, want)), string(encode(t, got))); diff != "" {
		t.Errorf("fold (-without +with unknown fields):\n%s", diff)
	}
}
