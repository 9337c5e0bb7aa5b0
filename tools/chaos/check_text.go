package main

import (
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parleychat/parley/events"
)

// textsAreOne is I3 on the side of the log: what it holds is the whole of one
// answer of the model, and what HTTP clients were given is what it holds.
func (t *trial) textsAreOne() {
	said := map[string]modelRequest{}
	for _, r := range t.Model {
		if r.Text != "" && !r.Title {
			said[r.Text] = r
		}
	}
	kept := map[string]string{}
	for _, s := range t.stories {
		for _, r := range s.runs {
			marker := string(s.source(r).message)
			for _, step := range r.steps {
				if step.text == "" {
					continue
				}
				m, ok := said[step.text]
				switch where := string(s.at.User) + "/" + string(r.id); {
				case !ok:
					t.violated("I3", s.at, r.id, "the text of step %d (commit %d) is no whole answer of the model: %q", step.step, step.n, clip(step.text, 120))
				case m.Marker != marker || m.Step != step.step:
					t.violated("I3", s.at, r.id, "step %d has the answer to step %d of message %s", step.step, m.Step, m.Marker)
				case kept[step.text] != "":
					t.violated("I3", s.at, r.id, "step %d has the text that %s has", step.step, kept[step.text])
				default:
					kept[step.text] = where
				}
			}
		}
	}
	for _, r := range t.Requests {
		for _, try := range r.Tries {
			if try.Answer != nil && !r.Foreign {
				t.answerAgrees(r, try)
			}
		}
	}
}

// answerAgrees compares an HTTP answer about a run that was over with the log.
func (t *trial) answerAgrees(r request, try try) {
	a := try.Answer
	at := place{r.User, a.Conversation}
	s := t.story(at)
	if s.state == nil || !a.Status.Over() {
		return
	}
	run := s.state.Run(a.Run)
	switch {
	case run == nil:
		t.violated("I3", at, a.Run, "an answer by %s shows a run that the log does not have", try.Via)
		return
	case run.Status != a.Status:
		t.violated("I3", at, a.Run, "an answer by %s says %s, the log says %s", try.Via, a.Status, run.Status)
	case a.EndedN != 0 && a.EndedN != run.EndedN:
		t.violated("I5", at, a.Run, "an answer by %s says that the run ended with commit %d, the log says %d", try.Via, a.EndedN, run.EndedN)
	case a.Receipt != nil && !sameReceipt(a.Receipt, run.Receipt):
		t.violated("I5", at, a.Run, "an answer by %s has another receipt than the log", try.Via)
	case run.Answer() != a.Text:
		t.violated("I3", at, a.Run, "an answer by %s says %q, the log %q", try.Via, clip(a.Text, 80), clip(run.Answer(), 80))
	}
	for id, status := range a.Calls {
		if c := run.Call(id); c == nil || string(c.Status) != status {
			t.violated("I3", at, a.Run, "an answer by %s says that call %s is %s, the log does not", try.Via, id, status)
		}
	}
}

func sameReceipt(a, b *events.Receipt) bool {
	return b != nil && a.Text == b.Text && slices.Equal(a.Ran, b.Ran) && slices.Equal(a.NotRun, b.NotRun)
}

// holeLimit is how long a reader may lack bytes before a snapshot must have come.
const holeLimit = 1500 * time.Millisecond

// readersAgree is I3 and I4 on the side of the readers: everybody has every
// commit, in order, byte for byte, and what streamed was the beginning of what
// was committed.
func (t *trial) readersAgree() {
	for _, d := range t.Devices {
		for conv, v := range d.Views {
			at := place{d.User, conv}
			list := t.Log[at]
			for _, line := range v.Disorder {
				t.violated("I4", at, "", "%s: %s", d.Name, line)
			}
			if len(v.Hashes) != len(list) {
				t.violated("I4", at, "", "%s has %d of %d commits after its last resume", d.Name, len(v.Hashes), len(list))
			}
			for i, h := range v.Hashes {
				if i < len(list) && h != hashOf(list[i].Raw) {
					t.violated("I4", at, "", "%s has another commit %d than the log", d.Name, i+1)
					break
				}
			}
			t.textsAgree(at, d, v)
		}
	}
}

func (t *trial) textsAgree(at place, d deviceRecord, v *viewRecord) {
	s := t.story(at)
	if s.state == nil {
		return
	}
	for id, text := range v.Texts {
		if run := s.state.Run(id); run == nil || run.Answer() != text {
			t.violated("I3", at, id, "%s shows another text than the log has: %q", d.Name, clip(text, 120))
		}
	}
	for _, draft := range v.Drafts {
		run := s.runs[draft.Run]
		if run == nil {
			continue // said already
		}
		if draft.HoleFor > holeLimit {
			t.violated("I3", at, draft.Run, "%s lacked bytes of step %d for %v, and no snapshot came", d.Name, draft.Step, draft.HoleFor)
		}
		for _, step := range run.steps {
			if step.step == draft.Step && step.attempt == draft.Attempt && !strings.HasPrefix(step.text, draft.Text) {
				t.violated("I3", at, draft.Run, "%s showed %q while step %d attempt %d streamed, its text is %q", d.Name,
					clip(draft.Text, 120), step.step, step.attempt, clip(step.text, 120))
			}
		}
		for _, end := range run.ends {
			// A worker that takes over from a dead one knows none of its text.
			if end.receipt != nil && end.byHolder && end.step == draft.Step && end.attempt == draft.Attempt && len(run.stepsOf(draft.Step)) == 0 &&
				!strings.HasPrefix(end.receipt.Text, draft.Text) {
				t.violated("I3", at, draft.Run, "%s showed %q when the run ended as %s, which kept %q", d.Name, clip(draft.Text, 120), end.status, clip(end.receipt.Text, 120))
			}
		}
	}
}

func (r *runStory) stepsOf(step int) (list []stepStory) {
	for _, s := range r.steps {
		if s.step == step {
			list = append(list, s)
		}
	}
	return list
}

// orderIsKept is I4 for the writer: what was accepted before the next was sent
// stands before it in the log.
func (t *trial) orderIsKept() {
	spoken := map[place][]request{}
	for _, r := range t.Requests { // each person's in the order of sending
		if r.Kind == kindMessage || r.Kind == kindRegenerate {
			at := place{r.User, r.Conversation}
			spoken[at] = append(spoken[at], r)
		}
	}
	for at, list := range spoken {
		s := t.story(at)
		var before *request
		var beforeN uint64
		for i := range list {
			r := &list[i]
			run := s.runs[events.RunIDFor(r.User, r.Conversation, events.MessageID(r.ID))]
			if run == nil || r.verdict() != accepted {
				continue
			}
			if before != nil && before.acceptedAt().Before(r.begun()) && run.acceptedN <= beforeN {
				t.violated("I4", at, run.id, "message %s was accepted before %s was sent, and stands behind it in the log (commits %d and %d)",
					before.ID, r.ID, beforeN, run.acceptedN)
			}
			if before == nil || run.acceptedN > beforeN {
				before, beforeN = r, run.acceptedN
			}
		}
	}
}

// archiveIsTheLog is I6: Postgres has the log byte for byte, and its read models
// are what the fold of that gives.
func (t *trial) archiveIsTheLog() {
	if t.Rejected > 0 {
		t.violated("I6", place{}, "", "the recorder put %d messages aside", t.Rejected)
	}
	if t.Verified != "" {
		t.violated("I6", place{}, "", "parley verify: %s", clip(t.Verified, 2000))
	}
	for at, list := range t.Log {
		have := t.Archive[at]
		if len(have) != len(list) {
			t.violated("I6", at, "", "the archive has %d of %d commits", len(have), len(list))
		}
		for i := range min(len(have), len(list)) {
			switch a := have[i]; {
			case a.N != uint64(i+1):
				t.violated("I6", at, "", "the archive's commit at place %d has number %d", i+1, a.N)
			case a.Raw != list[i].Raw:
				t.violated("I6", at, "", "the archive's commit %d differs from the log's", i+1)
			case !a.HashOK:
				t.violated("I6", at, "", "the hash of the archive's commit %d does not fit", i+1)
			default:
				continue
			}
			break
		}
		t.rowsAreTheFold(at)
	}
	for at := range t.Archive {
		if t.Log[at] == nil {
			t.violated("I6", at, "", "the archive has a conversation that the log does not have")
		}
	}
}

// rowsAreTheFold compares read model rows with the fold of the archive.
func (t *trial) rowsAreTheFold(at place) {
	ref, err := events.NewRef(at.User, at.Conversation)
	if err != nil {
		return
	}
	c := events.NewConversation(ref)
	for _, a := range t.Archive[at] {
		k, err := events.DecodeCommit([]byte(a.Raw))
		if err == nil {
			err = c.Apply(k)
		}
		if err != nil {
			t.violated("I6", at, "", "the archive cannot be folded at commit %d: %v", a.N, err)
			return
		}
	}
	if row, ok := t.Conversations[at]; !ok || row.N != c.N {
		t.violated("I6", at, "", "the conversation's row is at commit %d, its archive at %d", row.N, c.N)
	}
	for _, r := range c.Runs {
		want, err := json.Marshal(r)
		if have := t.RunBodies[runPlace{at, r.RunID}]; err != nil || have != string(want) {
			t.violated("I6", at, r.RunID, "the run's row is not what the archive folds to: %s, want %s", clip(have, 200), clip(string(want), 200))
		}
		// The same once more as people see it.
		var row events.Run
		if json.Unmarshal([]byte(t.RunBodies[runPlace{at, r.RunID}]), &row) == nil && row.Answer() != r.Answer() {
			t.violated("I3", at, r.RunID, "Postgres shows %q, the log %q", clip(row.Answer(), 120), clip(r.Answer(), 120))
		}
	}
}
