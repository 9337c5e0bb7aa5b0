package recorder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
	"github.com/parleychat/parley/readmodel"
)

// Why a message of the log is rejected. Each is an alarm.
const (
	reasonMalformed  = "malformed"  // no commit, or of a version that this build cannot read
	reasonForeign    = "foreign"    // of another conversation than its subject
	reasonGap        = "gap"        // a commit before it is missing
	reasonAltered    = "altered"    // the archive has another commit in its place
	reasonUnfoldable = "unfoldable" // the archive of its conversation cannot be folded
	reasonErased     = "erased"     // its conversation was erased
	reasonUnstorable = "unstorable" // Postgres refuses its content
)

var reasons = []string{reasonMalformed, reasonForeign, reasonGap, reasonAltered, reasonUnfoldable, reasonErased, reasonUnstorable}

// loadsPerBatch bounds the conversations whose history one batch reads from the
// archive: after a long pause every commit could be of another one.
const loadsPerBatch = 64

// record stores messages and returns the new position.
func (r *Recorder) record(ctx context.Context, at readmodel.Position, list []jetstream.Msg) (readmodel.Position, error) {
	for len(list) > 0 {
		b, n, err := r.batch(ctx, at, list)
		if err == nil {
			at, err = r.store(ctx, b, list[:n])
		}
		if err != nil {
			return at, err
		}
		list = list[n:]
	}
	return at, nil
}

// store writes a batch that was made of list and returns the new position.
func (r *Recorder) store(ctx context.Context, b *readmodel.Batch, list []jetstream.Msg) (readmodel.Position, error) {
	at := b.From
	fault.At(fault.BatchBefore)
	err := r.o.Store.Write(ctx, b)
	switch {
	case err == nil:
		fault.At(fault.BatchAfter)
		r.done(b)
		return b.To, nil
	case !contentRefused(err):
		return at, err
	}
	// Something in the batch is more than Postgres takes: find it, one by one, so
	// that the rest gets in. The folds have what the rows do not.
	r.cache.clear()
	if len(list) > 1 {
		for i := range list {
			if at, err = r.record(ctx, at, list[i:i+1]); err != nil {
				return at, err
			}
		}
		return at, nil
	}
	r.o.Logger.Error("postgres refuses a commit", "seq", b.To.Seq, "err", err)
	b = &readmodel.Batch{From: b.From, To: b.To, Rejected: []readmodel.Rejection{reject(list[0], b.To.Seq, reasonUnstorable)}}
	if err := r.o.Store.Write(ctx, b); err != nil {
		return at, err
	}
	r.done(b)
	return b.To, nil
}

// contentRefused reports whether the error lies in what was written, and not in
// the state of the database: the same would fail for ever.
func contentRefused(err error) bool {
	var pg *pgconn.PgError
	if errors.Is(err, readmodel.ErrMoved) || !errors.As(err, &pg) {
		return errors.Is(err, readmodel.ErrUnprojectable)
	}
	const uniqueViolation = "23505" // another recorder was faster
	return pg.Code != uniqueViolation &&
		(strings.HasPrefix(pg.Code, "22") || strings.HasPrefix(pg.Code, "23") || strings.HasPrefix(pg.Code, "54"))
}

// done counts what was stored.
func (r *Recorder) done(b *readmodel.Batch) {
	r.metrics.commits.Add(float64(len(b.Records)))
	r.metrics.takeovers.Add(float64(r.tally.takeovers))
	r.metrics.handovers.Add(float64(r.tally.handovers))
	r.tally = tally{}
	for _, f := range b.Folds {
		r.cache.put(f.Ref(), f)
	}
	for _, x := range b.Rejected {
		r.alarm(x.Reason)
		r.o.Logger.Error("message of the log rejected", "seq", x.Seq, "reason", x.Reason)
	}
}

// A message is a commit of the log.
type message struct {
	jetstream.Msg
	readmodel.Record
	ref events.Ref
}

// batch sorts messages into what is new, what the archive has, and what it
// cannot take, and folds what is new. It also returns how many it took.
func (r *Recorder) batch(ctx context.Context, at readmodel.Position, list []jetstream.Msg) (b *readmodel.Batch, n int, err error) {
	b = &readmodel.Batch{From: at, To: at}
	commits, folds, n, err := r.decode(ctx, b, list)
	if err != nil {
		return nil, 0, err
	}
	r.tally = tally{}
	old, err := fold(b, commits, folds, &r.tally)
	if err != nil || len(old) == 0 {
		return b, n, err
	}
	records := make([]readmodel.Record, len(old))
	for i, m := range old {
		records[i] = m.Record
	}
	same, err := r.o.Store.Same(ctx, records)
	if err != nil {
		return nil, 0, err
	}
	for i, m := range old {
		if !same[i] {
			b.Rejected = append(b.Rejected, reject(m.Msg, m.Seq, reasonAltered))
			continue
		}
		r.metrics.duplicates.Inc()
	}
	return b, n, nil
}

// decode reads the messages of a batch and gets the folds of their conversations.
func (r *Recorder) decode(ctx context.Context, b *readmodel.Batch, list []jetstream.Msg) (commits []message, folds map[events.Ref]*readmodel.Fold, n int, err error) {
	var missing []events.Ref
	histories := 0
	folds = map[events.Ref]*readmodel.Fold{}
	for ; n < len(list) && histories < loadsPerBatch; n++ {
		m := list[n]
		meta, err := m.Metadata()
		if err != nil {
			return nil, nil, 0, fmt.Errorf("message of the log: %w", err)
		}
		seq := meta.Sequence.Stream
		b.To.Seq, b.To.CommitID = seq, m.Headers().Get(jetstream.MsgIDHeader)
		k, err := events.DecodeCommit(m.Data())
		if err != nil {
			b.Rejected = append(b.Rejected, reject(m, seq, reasonMalformed))
			continue
		}
		ref, err := k.Ref()
		if err != nil || ref.Log() != m.Subject() {
			b.Rejected = append(b.Rejected, reject(m, seq, reasonForeign))
			continue
		}
		commits = append(commits, message{m, readmodel.Record{Commit: k, Raw: m.Data(), Seq: seq}, ref})
		if _, ok := folds[ref]; !ok {
			folds[ref] = r.cache.get(ref)
			if folds[ref] == nil {
				missing = append(missing, ref)
				if k.N > 1 {
					histories++
				}
			}
		}
	}
	if len(missing) > 0 {
		loaded, err := r.o.Store.Load(ctx, missing)
		if err != nil {
			return nil, nil, 0, err
		}
		for i, ref := range missing {
			folds[ref] = loaded[i]
			r.metrics.loads.Inc()
		}
	}
	return commits, folds, n, nil
}

// A tally counts what the commits of a batch tell of the workers.
type tally struct{ takeovers, handovers int }

// add counts the events of a commit that follows state s. A call that its own
// handler begins again, because the model cut it, is not taken over.
func (t *tally) add(s *events.Conversation, list []events.Event) {
	for _, e := range list {
		switch e := e.(type) {
		case events.StepInterrupted:
			t.handovers++
		case events.StepStarted:
			if run := s.Run(e.RunID); e.Attempt > 1 && run != nil && run.Lease != e.Lease {
				t.takeovers++
			}
		}
	}
}

// fold applies what is new and rejects what does not fit. It returns what is
// for the archive to judge: commits with a number that it has already.
func fold(b *readmodel.Batch, commits []message, folds map[events.Ref]*readmodel.Fold, t *tally) (old []message, err error) {
	type place struct {
		ref events.Ref
		n   uint64
	}
	fresh := map[place][]byte{}
	changed := map[events.Ref]bool{}
	for _, m := range commits {
		f := folds[m.ref]
		switch {
		case f.Broken != nil:
			reason := reasonUnfoldable
			if errors.Is(f.Broken, readmodel.ErrErased) {
				reason = reasonErased
			}
			b.Rejected = append(b.Rejected, reject(m.Msg, m.Seq, reason))
		case m.N > f.N+1:
			b.Rejected = append(b.Rejected, reject(m.Msg, m.Seq, reasonGap))
		case m.N <= f.N:
			raw, ok := fresh[place{m.ref, m.N}]
			switch {
			case !ok:
				old = append(old, m)
			case !bytes.Equal(raw, m.Raw):
				b.Rejected = append(b.Rejected, reject(m.Msg, m.Seq, reasonAltered))
			}
		default:
			t.add(f.Conversation, m.Events)
			if err := f.Apply(m.Commit, len(m.Raw)); err != nil {
				return nil, fmt.Errorf("fold at %d: %w", m.Seq, err) // n and owner were just checked
			}
			fresh[place{m.ref, m.N}] = m.Raw
			b.Records = append(b.Records, m.Record)
			if !changed[m.ref] {
				changed[m.ref] = true
				b.Folds = append(b.Folds, f)
			}
		}
	}
	return old, nil
}

func reject(m jetstream.Msg, seq uint64, reason string) readmodel.Rejection {
	return readmodel.Rejection{Seq: seq, Subject: m.Subject(), Reason: reason, Payload: m.Data()}
}
