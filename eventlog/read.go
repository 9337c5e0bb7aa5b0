package eventlog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleychat/parley/events"
)

// readBatchSize bounds one direct get; the server takes up to 1,024.
const readBatchSize = 512

// readBatch asks for the next messages of one literal subject in a single
// request (direct get with a batch, ADR-31 of NATS): ten events out of a
// million took 0.5 ms this way. Only the end-of-batch marker ends the answer; a
// loss is a timeout, not a shorter list.
func (l *Log) readBatch(ctx context.Context, subject string, from uint64, size int) (list []jetstream.RawStreamMsg, more bool, err error) {
	request, err := json.Marshal(struct {
		Seq   uint64 `json:"seq"`
		Next  string `json:"next_by_subj"`
		Batch int    `json:"batch"`
	}{from, subject, size})
	if err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	// A channel of our own: the client's would have half a megabyte. And an inbox
	// apart from those of its requests, whose subscription would get a copy of all.
	answers := make(chan *nats.Msg, size+1)
	sub, err := l.nc.ChanSubscribe(l.nc.NewInbox(), answers)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, sub.Unsubscribe()) }()
	if err := l.nc.PublishRequest("$JS.API.DIRECT.GET."+events.StreamLog, sub.Subject, request); err != nil {
		return nil, false, err
	}
	for {
		var m *nats.Msg
		select {
		case m = <-answers:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
		switch status := m.Header.Get("Status"); status {
		case "":
			seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
			if err != nil {
				return nil, false, fmt.Errorf("sequence of a stored message: %w", err)
			}
			list = append(list, jetstream.RawStreamMsg{Subject: subject, Sequence: seq, Data: m.Data})
		case "204": // end of batch
			return list, m.Header.Get("Nats-Num-Pending") != "0", nil
		case "404":
			return list, false, nil
		case "503":
			return nil, false, nats.ErrNoResponders
		default:
			return nil, false, fmt.Errorf("direct get: %s %s", status, m.Header.Get("Description"))
		}
	}
}

// Earlier returns the ids of the commands that INBOX holds for r and stored
// before seq, oldest first, leaving out answers to approvals: those wait for a
// call, not for a turn. A message that has been acknowledged is not among them.
// The list is whole if the message at seq, or a later one, was seen behind it:
// else that one is gone, or a replica that lags behind has answered.
func (l *Log) Earlier(ctx context.Context, r events.Ref, seq uint64) (ids []string, whole bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for from := uint64(1); ; {
		request, err := json.Marshal(struct {
			Seq  uint64 `json:"seq"`
			Next string `json:"next_by_subj"`
		}{from, r.Message()})
		if err != nil {
			return nil, false, fmt.Errorf("earlier messages: %w", err)
		}
		m, err := l.direct(ctx, events.StreamInbox, "", request)
		if err != nil {
			return nil, false, fmt.Errorf("earlier messages: %w", err)
		}
		if m == nil || m.Sequence >= seq {
			return ids, m != nil, nil
		}
		if m.Header.Get(events.HeaderCommand) != (events.Answer{}).CommandType() {
			ids = append(ids, m.Header.Get(events.HeaderID))
		}
		from = m.Sequence + 1
	}
}

// Newest returns the sequence of r's newest commit, 0 for none. It asks the
// stream's leader: unlike [Log.Read], which a replica may answer, it is not stale.
func (l *Log) Newest(ctx context.Context, r events.Ref) (uint64, error) {
	request, err := json.Marshal(struct {
		Last string `json:"last_by_subj"`
	}{r.Log()})
	if err != nil {
		return 0, fmt.Errorf("newest commit: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	m, err := l.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+events.StreamLog, request)
	if err != nil {
		return 0, fmt.Errorf("newest commit: %w", err)
	}
	var answer struct {
		Message struct {
			Seq uint64 `json:"seq"`
		} `json:"message"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return 0, fmt.Errorf("newest commit: %w", err)
	}
	switch {
	case answer.Error == nil:
		return answer.Message.Seq, nil
	case answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return 0, nil
	}
	return 0, fmt.Errorf("newest commit: %w", answer.Error)
}

// An Archive holds the commits that the stream has been trimmed of.
type Archive interface {
	// Commits returns the encoded commits of r with after < n < before, by n.
	Commits(ctx context.Context, r events.Ref, after, before uint64) ([][]byte, error)
}

// historyTries bounds how often History follows the recorder, which may trim
// the stream between the two reads.
const historyTries = 5

// History returns all commits of r with n > after: the stream's tail first,
// then from the archive what the stream no longer holds. The archive is asked
// only if something is missing, so a conversation that is still in the stream
// needs no Postgres. What is read is proportional to what is returned, not to
// the conversation.
func (l *Log) History(ctx context.Context, a Archive, r events.Ref, after uint64) ([]Stored, error) {
	list, _, err := l.Page(ctx, a, r, after, math.MaxInt)
	return list, err
}

// Page is History for at most limit commits; more says that others follow.
func (l *Log) Page(ctx context.Context, a Archive, r events.Ref, after uint64, limit int) (list []Stored, more bool, err error) {
	for range historyTries {
		list, more, err = l.page(ctx, a, r, after, limit)
		if !errors.Is(err, errMoved) {
			return list, more, err
		}
	}
	return nil, false, fmt.Errorf("history of %s after %d: %w", r.Conversation(), after, ErrGap)
}

// errMoved reports that the stream or the archive moved between two reads.
var errMoved = errors.New("moved between two reads")

func (l *Log) page(ctx context.Context, a Archive, r events.Ref, after uint64, limit int) (list []Stored, more bool, err error) {
	from, skip, err := l.place(ctx, r, after)
	if err != nil {
		return nil, false, err
	}
	if limit <= math.MaxInt-skip {
		skip += limit
	} else {
		skip = math.MaxInt
	}
	tail, more, err := l.read(ctx, r, from, skip)
	if errors.Is(err, ErrGap) {
		return nil, false, errMoved // trimmed while it was read, or it stays so
	}
	if err != nil || len(tail) == 0 {
		return nil, false, err
	}
	first := tail[0].N
	for len(tail) > 0 && tail[0].N <= after {
		tail = tail[1:]
	}
	if first <= after+1 {
		if len(tail) > limit {
			return tail[:limit], true, nil
		}
		return tail, more, nil
	}
	before := first
	if missing := first - after - 1; missing > uint64(limit) {
		before = after + uint64(limit) + 1
	}
	old, err := a.Commits(ctx, r, after, before)
	if err != nil {
		return nil, false, fmt.Errorf("archive: %w", err)
	}
	if uint64(len(old)) != before-after-1 {
		return nil, false, errMoved // the recorder moved them, or they are lost
	}
	list = make([]Stored, 0, min(len(old)+len(tail), limit))
	for i, raw := range old {
		c, err := decode(r, raw)
		if err != nil {
			return nil, false, fmt.Errorf("archive: commit %d: %w", after+uint64(i)+1, err)
		}
		if c.N != after+uint64(i)+1 {
			return nil, false, fmt.Errorf("archive: %d in the place of %d: %w", c.N, after+uint64(i)+1, ErrGap)
		}
		list = append(list, Stored{Commit: c, Raw: raw})
	}
	room := limit - len(list)
	more = more || before < first || len(tail) > room
	return append(list, tail[:min(room, len(tail))]...), more, nil
}

// placeSlack is how many commits may be read and thrown away: finding the exact
// place would cost more.
const placeSlack = 32

// place returns a sequence from which the stream has the commits of r after n =
// after, if it holds them at all, and how many others come before. JetStream
// cannot look a commit up by its n; but n rises with the sequence, so a few
// single reads, first backwards from the end in growing steps and then by
// halves, find it.
func (l *Log) place(ctx context.Context, r events.Ref, after uint64) (from uint64, skip int, err error) {
	if after <= placeSlack {
		return 1, int(after), nil
	}
	last, ok, err := l.Last(ctx, r)
	switch {
	case err != nil:
		return 0, 0, err
	case !ok, last.N <= after:
		return last.Seq + 1, 0, nil // there is nothing; what comes now may be read
	}
	want := after + 1
	high, low := last, Stored{}
	for step := 4 * (last.N - after); high.N > want; step *= 4 {
		at := uint64(1)
		if high.Seq > step {
			at = high.Seq - step
		}
		s, err := l.firstFrom(ctx, r, at)
		if err != nil {
			return 0, 0, err
		}
		if s.N <= want {
			low = s
			break
		}
		if high = s; at == 1 {
			return 1, 0, nil // the stream begins after it
		}
	}
	if low.Commit == nil {
		low = high // the very commit
	}
	for end := high.Seq; want-low.N > placeSlack && end > low.Seq+1; {
		middle := low.Seq + (end-low.Seq)/2
		s, err := l.firstFrom(ctx, r, middle)
		if err != nil {
			return 0, 0, err
		}
		if s.N <= want {
			low = s
		} else {
			end = middle
		}
	}
	return low.Seq, int(want - low.N), nil
}

// firstFrom returns the first commit of r at or after a sequence. The caller
// knows that there is one.
func (l *Log) firstFrom(ctx context.Context, r events.Ref, seq uint64) (Stored, error) {
	list, _, err := l.read(ctx, r, seq, 1)
	if err == nil && len(list) == 0 {
		err = errMoved // a replica that is behind
	}
	if err != nil {
		return Stored{}, err
	}
	return list[0], nil
}
