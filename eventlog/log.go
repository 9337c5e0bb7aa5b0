package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

// PublishTimeout bounds one publish; after it the outcome is unknown.
const PublishTimeout = 5 * time.Second

// readTimeout bounds one read request; a server that is up answers in milliseconds.
const readTimeout = 5 * time.Second

var (
	// ErrConflict reports that a commit did not go in at the expected place, see [ConflictError].
	ErrConflict = errors.New("conflict in the log")
	// ErrGap reports commits that are missing from a history.
	ErrGap = errors.New("gap in the log")
	// ErrFull reports a stream or subject at its limit: nothing was stored.
	ErrFull = errors.New("queue is full")
	// ErrUnknown reports a publish whose answer is missing: it may have been stored.
	// Publishing again under the same id is safe.
	ErrUnknown = errors.New("outcome unknown")
	// ErrDuplicate reports an inbox id that was published before, within the dedupe window.
	ErrDuplicate = errors.New("duplicate id")
)

// A ConflictError says why [Log.Append] cannot vouch for a commit. The caller
// folds again. If Stored, this very commit is in the log (an earlier try was
// stored and its answer lost): go on only if the state still says so. If not,
// forget the decision and decide again on the new state.
type ConflictError struct {
	Stored bool
}

func (e *ConflictError) Error() string {
	if e.Stored {
		return ErrConflict.Error() + ": stored by an earlier try"
	}
	return ErrConflict.Error()
}

// Is makes errors.Is(err, ErrConflict) hold.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// A Log is a connection to the streams. Its methods may be called in parallel.
type Log struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	logger *slog.Logger

	conflicts, redelivered atomic.Uint64
}

// Stats counts what is in order now and then, and a sign of trouble in numbers.
type Stats struct {
	// Conflicts are commits that did not go in because another was faster.
	Conflicts uint64
	// Redelivered are messages pulled that somebody had been given before.
	Redelivered uint64
}

// Stats returns what l has counted since it was opened.
func (l *Log) Stats() Stats {
	return Stats{Conflicts: l.conflicts.Load(), Redelivered: l.redelivered.Load()}
}

// Open binds to the streams that [Provision] made, and fails if one is missing.
func Open(ctx context.Context, nc *nats.Conn, logger *slog.Logger) (*Log, error) {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(PublishTimeout))
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	for _, name := range []string{events.StreamInbox, events.StreamLog, events.StreamWork, events.StreamTimer, events.StreamDLQ} {
		if _, err := js.Stream(ctx, name); err != nil {
			return nil, fmt.Errorf("open log: stream %s: %w (run parley provision first)", name, err)
		}
	}
	return &Log{nc: nc, js: js, logger: logger}, nil
}

// Conn returns the NATS connection, for core subjects.
func (l *Log) Conn() *nats.Conn { return l.nc }

// A Stored is a commit with its place in the stream, 0 if it came from the
// archive, and its bytes as they were published.
type Stored struct {
	*events.Commit
	Seq uint64
	Raw []byte
}

// Append publishes c, expecting last to be the sequence of the conversation's
// newest commit (0 for none), and returns the new sequence. Where the answer is
// lost it reads the log, waiting out an outage until ctx ends, and returns a
// *[ConflictError].
func (l *Log) Append(ctx context.Context, c *events.Commit, last uint64) (uint64, error) {
	ref, err := c.Ref()
	if err != nil {
		return 0, fmt.Errorf("append: %w", err)
	}
	data, err := c.Encode()
	if err != nil {
		return 0, fmt.Errorf("append: %w", err)
	}
	msg := &nats.Msg{Subject: ref.Log(), Data: data, Header: nats.Header{
		jetstream.MsgIDHeader:               {c.CommitID},
		jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(last, 10)},
	}}
	if fault.Planted(fault.NoExpectedSequence) {
		msg.Header.Del(jetstream.ExpectedLastSubjSeqHeader)
	}
	pctx, cancel := context.WithTimeout(ctx, PublishTimeout)
	ack, err := l.js.PublishMsg(pctx, msg, jetstream.WithRetryAttempts(0))
	cancel()
	switch {
	case err == nil && !ack.Duplicate:
		return ack.Sequence, nil
	case err != nil && refused(err):
		return 0, fmt.Errorf("append: %w", storeError(err))
	case ctx.Err() != nil:
		return 0, fmt.Errorf("append: %w", context.Cause(ctx))
	}
	// Wrong last sequence, a duplicate, or no answer: only the log can tell.
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		tail, err := l.Read(ctx, ref, last+1)
		if err == nil {
			for _, s := range tail {
				if s.CommitID == c.CommitID {
					return 0, &ConflictError{Stored: true}
				}
			}
			l.conflicts.Add(1)
			return 0, &ConflictError{}
		}
		l.logger.Warn("log unreachable after a publish of unknown outcome", "conversation_id", c.ConversationID, "err", err)
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("append: %w", context.Cause(ctx))
		case <-time.After(wait):
		}
	}
}

// Read returns the commits of r that the stream holds from sequence from on
// (0 or 1 = all), oldest first. An answer cut short is an error.
func (l *Log) Read(ctx context.Context, r events.Ref, from uint64) ([]Stored, error) {
	list, _, err := l.read(ctx, r, from, math.MaxInt)
	return list, err
}

// read is Read for at most limit commits; more says that others follow.
func (l *Log) read(ctx context.Context, r events.Ref, from uint64, limit int) (list []Stored, more bool, err error) {
	for from = max(from, 1); ; {
		batch, more, err := l.readBatch(ctx, r.Log(), from, min(limit-len(list), readBatchSize))
		if err != nil {
			return nil, false, fmt.Errorf("read log: %w", err)
		}
		for _, m := range batch {
			c, err := decode(r, m.Data)
			if err != nil {
				return nil, false, fmt.Errorf("read log at %d: %w", m.Sequence, err)
			}
			if len(list) > 0 && c.N != list[len(list)-1].N+1 {
				return nil, false, fmt.Errorf("read log: %d follows %d: %w", c.N, list[len(list)-1].N, ErrGap)
			}
			list = append(list, Stored{Commit: c, Seq: m.Sequence, Raw: m.Data})
		}
		if !more || len(batch) == 0 || len(list) >= limit {
			return list, more, nil
		}
		from = batch[len(batch)-1].Sequence + 1
	}
}

// decode reads a commit of r. One of another conversation in its place is an error
// for every reader: what is somebody else's is handed to nobody.
func decode(r events.Ref, raw []byte) (*events.Commit, error) {
	c, err := events.DecodeCommit(raw)
	if err == nil && (c.UserID != r.User() || c.ConversationID != r.Conversation()) {
		return nil, fmt.Errorf("commit %d: %w", c.N, events.ErrForeign)
	}
	return c, err
}

// Last returns the newest commit of r; ok is false if there is none.
func (l *Log) Last(ctx context.Context, r events.Ref) (s Stored, ok bool, err error) {
	m, err := l.last(ctx, events.StreamLog, r.Log())
	if err != nil || m == nil {
		return Stored{}, false, err
	}
	c, err := decode(r, m.Data)
	if err != nil {
		return Stored{}, false, fmt.Errorf("last commit: %w", err)
	}
	return Stored{Commit: c, Seq: m.Sequence, Raw: m.Data}, true, nil
}

// Known reports whether r has a commit, or a command that waits to become its first.
func (l *Log) Known(ctx context.Context, r events.Ref) (bool, error) {
	// A command leaves the inbox after its commit is in the log: look at the
	// log once more in case it moved between the two reads.
	for _, at := range []struct{ stream, subject string }{
		{events.StreamLog, r.Log()}, {events.StreamInbox, r.Message()}, {events.StreamLog, r.Log()},
	} {
		m, err := l.last(ctx, at.stream, at.subject)
		if err != nil || m != nil {
			return m != nil, err
		}
	}
	return false, nil
}

// last returns the last message of a subject, or nil if there is none.
func (l *Log) last(ctx context.Context, stream, subject string) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	m, err := l.direct(ctx, stream, "."+subject, nil)
	if err != nil {
		return nil, fmt.Errorf("last of %s: %w", stream, err)
	}
	return m, nil
}

// direct makes one direct get and returns its message, or nil if there is none.
func (l *Log) direct(ctx context.Context, stream, token string, request []byte) (*jetstream.RawStreamMsg, error) {
	m, err := l.nc.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+stream+token, request)
	if err != nil {
		return nil, err
	}
	switch status := m.Header.Get("Status"); status {
	case "":
	case "404":
		return nil, nil
	default:
		return nil, fmt.Errorf("direct get: %s %s", status, m.Header.Get("Description"))
	}
	seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("sequence of a stored message: %w", err)
	}
	return &jetstream.RawStreamMsg{Subject: m.Header.Get(jetstream.SubjectHeader), Sequence: seq, Header: m.Header, Data: m.Data}, nil
}

// refused reports an error that says for certain that nothing was stored and
// that the reason is not the expected sequence.
func refused(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode {
	case jetstream.JSErrCodeStreamWrongLastSequence, codeWrongLastSequenceConstant:
		return false
	}
	return true
}

// Codes of the server that the client has no name for (nats-server 2.15
// jetstream_errors_generated.go).
const (
	codeWrongLastSequenceConstant jetstream.ErrorCode = 10164
	codeStoreFailed               jetstream.ErrorCode = 10077
	codeResources                 jetstream.ErrorCode = 10023
	codeStorageResources          jetstream.ErrorCode = 10047
)

// storeError turns "no room" into ErrFull, and marks with ErrUnknown what does not
// say for certain that nothing was stored.
func storeError(err error) error {
	switch {
	case errors.As(err, new(*jetstream.APIError)):
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject),
		errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		return err // it has not left this process, or nobody was there to take it
	default:
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		switch api.ErrorCode {
		case codeStoreFailed, codeResources, codeStorageResources:
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
	}
	return err
}
