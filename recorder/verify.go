package recorder

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/readmodel"
)

// VerifyOptions configure [Verify].
type VerifyOptions struct {
	// Store is the database that is checked. It has no default.
	Store *readmodel.Store
	// Log, if not nil, decides what the archive alone cannot: whether a call in
	// the ledger is new or was never made.
	Log *eventlog.Log
	// Workers fold at once; 0 means one per core.
	Workers int
}

// listed bounds the findings of each kind that a report holds; all are counted.
const listed = 1000

// A Finding is a row that is not as it should be, or that cannot be checked.
type Finding struct {
	Table          string `json:"table"`
	UserID         string `json:"user_id"`
	ConversationID string `json:"conversation_id,omitempty"`
	// N and To are the first and the last commit that are meant, if any.
	N  int64 `json:"n,omitempty"`
	To int64 `json:"to,omitempty"`
	// Key names the row where N does not: a run, a call, a task, a task_rev.
	Key string `json:"key,omitempty"`
	// Kind is missing, extra, altered, reordered or foreign.
	Kind   string `json:"kind,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// String is the finding on one line.
func (f Finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", f.Table, f.UserID)
	if f.ConversationID != "" {
		b.WriteString("/" + f.ConversationID)
	}
	if f.N > 0 {
		fmt.Fprintf(&b, " n=%d", f.N)
	}
	if f.To > f.N {
		fmt.Fprintf(&b, "..%d", f.To)
	}
	for _, s := range []string{f.Key, f.Kind} {
		if s != "" {
			b.WriteString(" " + s)
		}
	}
	if f.Detail != "" {
		b.WriteString(": " + f.Detail)
	}
	return b.String()
}

// Findings are the first of a kind, and how many there are.
type Findings struct {
	Count int       `json:"count"`
	List  []Finding `json:"list"`
}

func (f *Findings) add(x Finding) {
	f.Count++
	if len(f.List) < listed {
		f.List = append(f.List, x)
	}
}

// A Report is what [Verify] found.
type Report struct {
	// Positions are how far the log was recorded in the state that was checked.
	Positions     []readmodel.Position `json:"positions"`
	Conversations int                  `json:"conversations"`
	Commits       int                  `json:"commits"`
	Events        int                  `json:"events"`
	Calls         int                  `json:"calls"`
	Tasks         int                  `json:"tasks"`
	// Differences are what should not be.
	Differences Findings `json:"differences"`
	// Unverifiable is what nobody can check: erased, of a newer version, or
	// behind something that is broken.
	Unverifiable Findings `json:"unverifiable"`
	// Pending is what the ledger has and the archive does not have yet.
	Pending Findings `json:"pending"`
	// Rejected counts what the recorder could not archive, by reason.
	Rejected map[string]int `json:"rejected"`
	Took     time.Duration  `json:"took_ns"`
}

// Verify folds the whole archive again and compares every row that was made of
// it: the archive with its own hashes and numbers, the read models with the
// fold, the ledger with the calls and answers of the log, the tasks with the
// ledger. It reads one state of the database while others go on writing, writes
// nothing, and calls no model and no tool.
//
// A row is compared with the strongest witness there is, the archive first, so
// that one change is one difference. What lies behind a broken commit has no
// witness and is counted as unverifiable.
func Verify(ctx context.Context, o VerifyOptions) (*Report, error) {
	began := time.Now()
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	snapshot, err := o.Store.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	defer snapshot.Close(ctx)
	v := &verifier{persons: map[string]*ledgerOf{}, report: Report{Positions: snapshot.Positions, Rejected: snapshot.Rejected}}
	g, gctx := errgroup.WithContext(ctx)
	lanes := make([]chan *readmodel.Part, o.Workers)
	for i := range lanes {
		lanes[i] = make(chan *readmodel.Part, 4)
		g.Go(func() error { return v.work(lanes[i]) })
	}
	g.Go(func() error {
		defer func() {
			for _, l := range lanes {
				close(l)
			}
		}()
		return v.walk(gctx, snapshot, lanes)
	})
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	if err := v.decide(ctx, o); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	r := &v.report
	for _, f := range []*Findings{&r.Differences, &r.Unverifiable, &r.Pending} {
		slices.SortStableFunc(f.List, func(a, b Finding) int {
			return strings.Compare(a.UserID+"\x00"+a.ConversationID+"\x00"+a.Table, b.UserID+"\x00"+b.ConversationID+"\x00"+b.Table)
		})
	}
	r.Took = time.Since(began)
	return r, nil
}

// A verifier collects what the workers find.
type verifier struct {
	mu      sync.Mutex
	report  Report
	unknown []unknownCall
	persons map[string]*ledgerOf
}

// An unknownCall is a row of the ledger whose call the archive does not have.
type unknownCall struct {
	Finding
	after int64 // the last n of the archive
}

// unknownCalls bounds what is asked of the log.
const unknownCalls = 10_000

// walk deals conversations out to the lanes.
func (v *verifier) walk(ctx context.Context, snapshot *readmodel.Snapshot, lanes []chan *readmodel.Part) error {
	lane := 0
	return snapshot.Walk(ctx, func(p *readmodel.Part) error {
		last := p.Last // of whoever has the part next, from there on
		if last {
			v.ledgerOf(p.UserID).begin()
		}
		select {
		case lanes[lane] <- p: // all parts of a conversation go to one worker
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if last {
			lane = (lane + 1) % len(lanes)
		}
		return nil
	}, func(p *readmodel.Person) error {
		v.ledgerOf(p.UserID).close(p, v)
		return nil
	})
}

// ledgerOf returns what is collected of a person.
func (v *verifier) ledgerOf(user string) *ledgerOf {
	v.mu.Lock()
	defer v.mu.Unlock()
	l := v.persons[user]
	if l == nil {
		l = &ledgerOf{claims: map[int64][]claim{}, unread: map[string]bool{}}
		v.persons[user] = l
	}
	return l
}

func (v *verifier) work(parts <-chan *readmodel.Part) error {
	var c *conversation
	var err error
	for p := range parts {
		if err == nil {
			if c == nil {
				c = newConversation(p.UserID, p.ConversationID)
			}
			err = c.read(p)
			if p.Last {
				if err == nil {
					v.add(c)
					v.ledgerOf(p.UserID).add(c, v)
				}
				c = nil
			}
		}
		p.Free()
	}
	return err
}

// add takes over what was found in a conversation.
func (v *verifier) add(c *conversation) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r := &v.report
	r.Commits += c.commits
	r.Events += c.events
	r.Calls += c.ledgerRows
	if c.commits > 0 {
		r.Conversations++
	}
	for _, f := range c.differences {
		r.Differences.add(f)
	}
	for _, f := range c.unverifiable {
		r.Unverifiable.add(f)
	}
	for _, f := range c.pending {
		r.Pending.add(f)
	}
	for _, u := range c.unknown {
		if len(v.unknown) < unknownCalls {
			v.unknown = append(v.unknown, u)
		} else {
			r.Pending.add(u.Finding)
		}
	}
}

// decide asks the log about calls that the archive does not have: one that is
// there was only not recorded yet.
func (v *verifier) decide(ctx context.Context, o VerifyOptions) error {
	unknown := v.unknown
	v.unknown = nil
	for _, u := range unknown {
		ref, err := events.NewRef(events.UserID(u.UserID), events.ConversationID(u.ConversationID))
		if err != nil {
			v.report.Differences.add(u.Finding) // no conversation can have such a name
			continue
		}
		if o.Log == nil {
			v.report.Pending.add(u.Finding)
			continue
		}
		tail, err := o.Log.History(ctx, o.Store, ref, uint64(u.after))
		if err != nil && !errors.Is(err, eventlog.ErrGap) {
			return fmt.Errorf("log of %s: %w", u.ConversationID, err)
		}
		if slices.ContainsFunc(tail, func(s eventlog.Stored) bool { return calls(s.Commit, events.CallID(u.Key)) }) {
			v.report.Pending.add(u.Finding)
			continue
		}
		u.Detail = "neither the archive nor the log has a call with this id"
		v.report.Differences.add(u.Finding)
	}
	return nil
}

func calls(c *events.Commit, id events.CallID) bool {
	return slices.ContainsFunc(c.Events, func(e events.Event) bool {
		t, ok := e.(events.ToolCalled)
		return ok && t.CallID == id
	})
}
