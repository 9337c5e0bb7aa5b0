package main

import (
	"slices"
	"strings"
	"time"

	"github.com/parleychat/parley/events"
)

const (
	// clockSlack is what two looks at one machine's clock may differ by.
	clockSlack = 50 * time.Millisecond
	// lateRequest is how long after a run's end a worker may still ask the model
	// that does not know of it yet.
	lateRequest = 2 * time.Second
)

// endsAreEnds is I5: after a run has ended nothing of it happens, and a receipt
// says exactly what happened before. Events after the end are misfits of the
// story already.
func (t *trial) endsAreEnds() {
	for _, s := range t.stories {
		for _, r := range s.runs {
			if len(r.ends) == 0 {
				continue
			}
			end := r.ends[0]
			for id, c := range s.calls {
				if c.run != r.id {
					continue
				}
				for _, h := range t.effects[callPlace{s.at.User, id}] {
					if h.At.After(end.stored.Add(clockSlack)) {
						t.violated("I5", s.at, r.id, "call %s of %s took effect %v after the run had ended as %s", id, c.name, h.At.Sub(end.stored), end.status)
					}
				}
			}
			if end.receipt != nil {
				t.receiptIsTrue(s, r, end)
			}
		}
	}
	t.modelIsLeftAlone()
}

// receiptIsTrue compares a receipt with ledger and history.
func (t *trial) receiptIsTrue(s *story, r *runStory, end endStory) {
	for _, id := range end.receipt.Ran {
		if l := t.ledger[callPlace{s.at.User, id}]; l.State != "done" {
			t.violated("I5", s.at, r.id, "the receipt says that call %s ran, the ledger says %q", id, l.State)
		}
		if slices.Contains(end.receipt.NotRun, id) {
			t.violated("I5", s.at, r.id, "the receipt says both of call %s", id)
		}
	}
	for _, id := range end.receipt.NotRun {
		if n := len(t.effects[callPlace{s.at.User, id}]); n > 0 {
			t.violated("I5", s.at, r.id, "the receipt says that call %s did not run, and it has an effect", id)
		}
		if l := t.ledger[callPlace{s.at.User, id}]; l.OK {
			t.violated("I5", s.at, r.id, "the receipt says that call %s did not run, and the ledger says that it did", id)
		}
	}
	for id, c := range s.calls {
		if c.run == r.id && !slices.Contains(end.receipt.Ran, id) && !slices.Contains(end.receipt.NotRun, id) {
			t.violated("I5", s.at, r.id, "the receipt leaves out call %s", id)
		}
	}
}

// modelIsLeftAlone looks for requests to the model about runs that were over. A
// worker that was paused before its request makes it when it wakes.
func (t *trial) modelIsLeftAlone() {
	ends := map[string]time.Time{} // by message, of the last run that answers it
	where := map[string]*story{}
	open := map[string]bool{}
	for _, s := range t.stories {
		for _, r := range s.runs {
			marker := string(s.source(r).message)
			where[marker] = s
			if len(r.ends) == 0 {
				open[marker] = true
			} else if at := r.ends[0].stored; at.After(ends[marker]) {
				ends[marker] = at
			}
		}
	}
	for _, m := range t.Model {
		end, ok := ends[m.Marker]
		if m.Title || !ok || open[m.Marker] || m.Begun.Before(end.Add(lateRequest)) || t.wokeBefore(m.Begun) {
			continue
		}
		t.violated("I5", where[m.Marker].at, "", "the model was asked about message %s %v after its last run had ended", m.Marker, m.Begun.Sub(end))
	}
}

// wokeBefore reports whether a process had just been woken.
func (t *trial) wokeBefore(at time.Time) bool {
	for _, f := range t.Faults {
		if d := at.Sub(f.To); f.Kind == faultPause && -clockSlack < d && d < lateRequest {
			return true
		}
	}
	return false
}

// personsAreApart is I7: nothing that reached a person, or is stored as theirs,
// holds another's secret.
func (t *trial) personsAreApart() {
	for _, d := range t.Devices {
		for _, f := range d.Foreign {
			t.violated("I7", place{d.User, ""}, "", "%s got %s", d.Name, f)
		}
	}
	for _, r := range t.Requests {
		if !r.Foreign {
			continue
		}
		for _, try := range r.Tries {
			if try.Verdict == accepted {
				t.violated("I7", place{r.User, r.Conversation}, "", "a look at another person's conversation was answered with %d", try.Status)
			}
		}
	}
	for at, list := range t.Log {
		for _, l := range list {
			if bad := foreignCanary(l.Raw, t.Canaries[at.User]); bad != "" {
				t.violated("I7", at, "", "the log of %s holds %s, which is another's", at.User, bad)
				break
			}
		}
	}
	for _, h := range t.History {
		if bad := foreignCanary(h.Row, t.Canaries[h.User]); bad != "" {
			t.violated("I7", place{h.User, ""}, h.Run, "a task of %s holds %s, which is another's", h.User, bad)
		}
	}
	for _, l := range t.Ledger {
		if bad := foreignCanary(l.Result, t.Canaries[l.User]); bad != "" {
			t.violated("I7", place{l.User, l.Conversation}, l.Run, "a result of %s holds %s, which is another's", l.User, bad)
		}
	}
}

// refusalsAreEmpty is I8: what was refused by every edge that was asked is
// nowhere.
func (t *trial) refusalsAreEmpty() {
	type owned struct {
		user events.UserID
		id   string
	}
	allowed := map[owned]bool{} // ids of which another request was not refused
	for _, r := range t.Requests {
		if r.verdict() != refused {
			allowed[owned{r.User, r.ID}] = true
		}
	}
	words := map[owned]place{} // first words of accepted messages
	causes := map[owned]place{}
	for _, s := range t.stories {
		for _, r := range s.runs {
			first, _, _ := strings.Cut(r.text, " ")
			words[owned{s.at.User, first}] = s.at
		}
		for c := range s.causes {
			causes[owned{s.at.User, c}] = s.at
		}
	}
	asked := map[string]bool{}
	for _, m := range t.Model {
		asked[m.Marker] = true
	}
	// Persons use each other's ids, and the model does not know who asks.
	anybody := map[string]bool{}
	for id := range allowed {
		anybody[id.id] = true
	}
	for _, r := range t.Requests {
		if r.verdict() != refused {
			continue
		}
		first, _, _ := strings.Cut(r.Text, " ")
		id := owned{r.User, r.ID}
		if at, ok := causes[id]; ok && !allowed[id] {
			t.violated("I8", at, "", "%s %s was refused (%s) and is the cause of a commit", r.Kind, r.ID, r.why())
		}
		if r.Kind != kindMessage && r.Kind != kindBad {
			continue
		}
		if at, ok := words[owned{r.User, first}]; ok && (first != r.ID || !allowed[id]) {
			t.violated("I8", at, "", "message %s was refused (%s) and stands in the log", r.ID, r.why())
		}
		if asked[first] && !anybody[first] {
			t.violated("I8", place{r.User, r.Conversation}, "", "message %s was refused (%s) and the model was asked about it", r.ID, r.why())
		}
	}
	for k := range t.ledger {
		for _, r := range t.Requests {
			if r.Kind == kindCall && r.User == k.User && events.HandCallID(r.User, r.ID) == k.Call && r.verdict() == refused {
				t.violated("I8", place{r.User, r.Conversation}, "", "call %s by hand was refused (%s) and has a ledger row", r.ID, r.why())
			}
		}
	}
}

// why is what the refusals said.
func (r *request) why() string {
	var list []string
	for _, t := range r.Tries {
		if !slices.Contains(list, t.Code) {
			list = append(list, t.Code)
		}
	}
	return strings.Join(list, ", ")
}
