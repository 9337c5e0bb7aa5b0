package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parleychat/parley/events"
)

// A report is the outcome of a run.
type report struct {
	Seed     uint64
	Nodes    int
	For      time.Duration
	Took     time.Duration
	Plant    string         `json:",omitempty"`
	Faults   map[string]int // by kind and role
	Accepted int
	Refused  int
	Unknown  int
	// Stored counts the messages among the unknown that are in the log.
	Stored int
	// Terminal counts the ends of runs by word, and failures by code.
	Terminal  map[string]int
	Commits   int
	Effects   int
	Takeovers int
	Handovers int
	Resumes   int
	Asked     int // requests to the model
	Holes     int
	// Returned and Forgotten are what NATS did when it was killed, see [evidence].
	Returned  uint64
	Forgotten int
	// Crashes are ends of processes that nobody asked for; starting while NATS or
	// Postgres is away is one of their reasons.
	Crashes []string
	// Checks are those that were made.
	Checks     []string
	Violations []violation
	Dir        string
}

func newReport(o options, dir string, e *evidence, n *nemesis) *report {
	r := &report{
		Seed: o.seed, Nodes: o.nodes, For: o.last, Plant: o.plant, Faults: n.counts, Terminal: map[string]int{},
		Effects: len(e.History), Asked: len(e.Model), Dir: dir, Checks: checks, Violations: judge(e),
	}
	r.Returned, r.Forgotten = e.Returned, e.Forgotten
	var unclear []runPlace
	for _, q := range e.Requests {
		switch q.verdict() {
		case accepted:
			r.Accepted++
		case refused:
			r.Refused++
		default:
			r.Unknown++
			unclear = append(unclear, runPlace{place{q.User, q.Conversation}, events.RunIDFor(q.User, q.Conversation, events.MessageID(q.ID))})
		}
	}
	for at, list := range e.Log {
		r.Commits += len(list)
		for id, run := range tell(at, list).runs {
			if slices.Contains(unclear, runPlace{at, id}) {
				r.Stored++
			}
			r.Takeovers, r.Handovers = r.Takeovers+len(run.takeovers), r.Handovers+run.handovers
			for _, end := range run.ends {
				word := string(end.status)
				if end.code != "" {
					word += " (" + end.code + ")"
				}
				r.Terminal[word]++
			}
		}
	}
	for _, d := range e.Devices {
		r.Resumes += d.Resumes
		for _, v := range d.Views {
			r.Holes += v.Holes
		}
	}
	return r
}

func (n *nemesis) summary() string { return tally(n.counts) }

func tally(m map[string]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// shown bounds the violations of one check that are printed; the JSON has all.
const shown = 12

func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "\nseed        %d\nran         %v of chaos on %d NATS node(s), %v in all\n", r.Seed, r.For, r.Nodes, r.Took)
	if r.Plant != "" {
		fmt.Fprintf(w, "planted     %s\n", r.Plant)
	}
	fmt.Fprintf(w, "faults      %s\n", tally(r.Faults))
	fmt.Fprintf(w, "requests    accepted %d, refused %d, unknown %d (of which %d messages were stored)\n", r.Accepted, r.Refused, r.Unknown, r.Stored)
	fmt.Fprintf(w, "terminal    %s\n", tally(r.Terminal))
	fmt.Fprintf(w, "and         %d commits, %d tool effects, %d takeovers (%d handed over), %d resumes, %d model requests, %d processes ended by themselves\n",
		r.Commits, r.Effects, r.Takeovers, r.Handovers, r.Resumes, r.Asked, len(r.Crashes))
	if r.Returned > 0 || r.Forgotten > 0 {
		fmt.Fprintf(w, "nats        %d acknowledged messages lie in its queues again, %d acknowledged schedules are gone\n", r.Returned, r.Forgotten)
	}
	fmt.Fprintf(w, "violations  %d\n", len(r.Violations))
	count := map[string]int{}
	for _, v := range r.Violations {
		if count[v.Check]++; count[v.Check] <= shown {
			fmt.Fprintf(w, "  %v\n", v)
		}
	}
	for _, check := range r.Checks {
		if n := count[check]; n > shown {
			fmt.Fprintf(w, "  %s: %d in all\n", check, n)
		}
	}
	if r.Dir != "" {
		fmt.Fprintf(w, "evidence    %s (logs/, histories/)\n", r.Dir)
	}
	if len(r.Violations) > 0 {
		fmt.Fprintf(w, "again       go run ./tools/chaos --seed %d --nodes %d --for %v\n", r.Seed, r.Nodes, r.For)
	}
}

// keepHistories writes, for each conversation with a violation, its commits and
// what was asked of it.
func keepHistories(dir string, e *evidence, list []violation) error {
	dir = filepath.Join(dir, "histories")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("keep histories: %w", err)
	}
	done := map[place]bool{}
	for _, v := range list {
		at := place{v.User, v.Conversation}
		if v.User == "" || done[at] {
			continue
		}
		done[at] = true
		var b strings.Builder
		for _, v := range list {
			if v.User == at.User && v.Conversation == at.Conversation {
				fmt.Fprintf(&b, "# %v\n", v)
			}
		}
		b.WriteString("\n# commits\n")
		for _, l := range e.Log[at] {
			fmt.Fprintf(&b, "%s seq %d %s\n", l.Stored.Format(time.StampMicro), l.Seq, l.Raw)
		}
		b.WriteString("\n# requests\n")
		markers := map[string]bool{}
		for _, r := range e.Requests {
			if r.User == at.User && (r.Conversation == at.Conversation || at.Conversation == "") {
				markers[r.ID] = true
				line, err := json.Marshal(r)
				if err != nil {
					return fmt.Errorf("keep histories: %w", err)
				}
				fmt.Fprintf(&b, "%s\n", line)
			}
		}
		b.WriteString("\n# model requests\n")
		for _, m := range e.Model {
			if markers[m.Marker] {
				fmt.Fprintf(&b, "%d %s step %d %s to %s %s %q %v\n", m.Number, m.Marker, m.Step, m.Begun.Format(time.StampMicro), m.Ended.Format(time.StampMicro), m.Outcome, m.Text, m.Calls)
			}
		}
		b.WriteString("\n# ledger and history\n")
		for _, l := range e.Ledger {
			if l.User == at.User && (l.Conversation == at.Conversation || at.Conversation == "") {
				fmt.Fprintf(&b, "%+v\n", l)
			}
		}
		for _, h := range e.History {
			if h.User == at.User && (at.Conversation == "" || events.RunOf(h.Call) == h.Run) {
				fmt.Fprintf(&b, "%+v\n", h)
			}
		}
		name := string(at.User) + "-" + string(at.Conversation) + ".txt"
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), []byte(b.String()), 0o644); err != nil {
			return fmt.Errorf("keep histories: %w", err)
		}
	}
	return nil
}
