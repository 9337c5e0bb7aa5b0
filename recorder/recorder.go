package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/readmodel"
)

// ErrOtherStream reports a log that is not the one recorded so far: its store
// was lost or replaced.
var ErrOtherStream = errors.New("the log is another one than Postgres knows")

// errReconnected ends a session, see [Recorder.watch].
var errReconnected = errors.New("nats reconnected")

// errStepAside reports that another recorder holds the lease.
var errStepAside = errors.New("another recorder is active")

// Options configure a Recorder. Log and Store have no default.
type Options struct {
	// Log is what is recorded.
	Log *eventlog.Log
	// Store is where it goes.
	Store *readmodel.Store
	// Logger; nil means none.
	Logger *slog.Logger
	// Keep is how long the log keeps what is archived; 0 means 7 days.
	Keep time.Duration
	// TrimEvery is how often the log is trimmed; 0 means hourly.
	TrimEvery time.Duration
	// LookEvery is how often the runs that are not over are looked at; 0 means
	// every minute.
	LookEvery time.Duration
	// Late is how long past its deadline a run is left alone before it is told again
	// that its time is over; 0 means a minute.
	Late time.Duration
	// LeaseTTL is how long a dead recorder goes unnoticed; 0 means 10 s.
	LeaseTTL time.Duration
	// Pace is the least time between two batches; 0 means 10 ms. A lone commit is
	// written at once; many at a time share a transaction.
	Pace time.Duration
	// CacheBytes bounds the commits whose folds are kept in memory; 0 means 64 MiB.
	CacheBytes int
	// AdoptNewLog lets the recorder begin at the start of a log that replaced the
	// recorded one. Commits of conversations that the archive knows are then rejected.
	AdoptNewLog bool
	// Registerer takes the metrics; nil means they are not offered.
	Registerer prometheus.Registerer
	// Now is the clock for trimming; nil means time.Now.
	Now func() time.Time
	// Recorded, if not nil, is told each position after its transaction, and where
	// recording begins.
	Recorded func(seq uint64)
}

// Bounds of one batch.
const (
	batchCommits = 500
	batchBytes   = 8 << 20
)

// requestTimeout bounds what is asked of NATS; a server that is up answers in
// milliseconds, and what it lost in a restart it never answers.
const requestTimeout = 5 * time.Second

// grace is how long a batch that is being written may take to end after Run was
// told to stop.
const grace = 5 * time.Second

// A Recorder copies the log into Postgres.
type Recorder struct {
	o       Options
	js      jetstream.JetStream
	holder  string
	metrics *metrics
	cache   *cache

	position atomic.Uint64                    // recorded up to
	stream   atomic.Pointer[jetstream.Stream] // what is recorded; nil if another recorder does that
	tally    tally                            // of the batch that is being written

	mu      sync.Mutex
	trouble error // why nothing is recorded at the moment
	alarms  map[string]int

	// point lets a test act at a named place of the loop.
	point func(name string)
}

// New returns a Recorder. It does no I/O.
func New(o Options) (*Recorder, error) {
	if o.Log == nil || o.Store == nil {
		return nil, errors.New("recorder: Log and Store must be set")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Recorded == nil {
		o.Recorded = func(uint64) {}
	}
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{{&o.Keep, 7 * 24 * time.Hour}, {&o.TrimEvery, time.Hour}, {&o.LookEvery, time.Minute}, {&o.Late, time.Minute}, {&o.LeaseTTL, 10 * time.Second}, {&o.Pace, 10 * time.Millisecond}} {
		if *d.value == 0 {
			*d.value = d.def
		}
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	js, err := jetstream.New(o.Log.Conn(), jetstream.WithDefaultTimeout(eventlog.PublishTimeout))
	if err != nil {
		return nil, fmt.Errorf("recorder: %w", err)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("recorder: %w", err)
	}
	r := &Recorder{
		o: o, js: js, holder: uuid.NewString(), metrics: m, cache: newCache(o.CacheBytes),
		alarms: map[string]int{}, point: func(string) {},
	}
	if err := o.Registerer.Register(newBehind(r)); err != nil {
		return nil, fmt.Errorf("recorder: %w", err)
	}
	return r, nil
}

// Position returns the sequence up to which this recorder has recorded.
func (r *Recorder) Position() uint64 { return r.position.Load() }

// Ready says what an operator should know: why nothing is recorded at the
// moment, and what was rejected. Nil means all is well, or another recorder is
// active.
func (r *Recorder) Ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.trouble
	for _, reason := range reasons {
		if n := r.alarms[reason]; n > 0 {
			err = errors.Join(err, fmt.Errorf("%d messages of the log rejected: %s; see table archive_rejected", n, reason))
		}
	}
	return err
}

// Run records until ctx ends, waiting out NATS and Postgres. It fails only if
// the log is another one than Postgres knows.
func (r *Recorder) Run(ctx context.Context) error {
	defer r.release(context.WithoutCancel(ctx))
	nc := r.o.Log.Conn()
	connected := nc.StatusChanged(nats.CONNECTED)
	defer nc.RemoveStatusListener(connected)
	for pause := time.Duration(0); ; {
		from := r.Position()
		err := r.watch(ctx, connected)
		r.cache.clear()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrOtherStream):
			return err
		case errors.Is(err, readmodel.ErrMoved), errors.Is(err, errStepAside):
			r.stream.Store(nil)
			r.o.Logger.Info("recorder steps aside", "reason", err)
			err = nil
		default:
			r.metrics.errors.Inc()
			r.o.Logger.Warn("recording interrupted", "err", err)
		}
		r.setTrouble(err)
		if errors.Is(err, errReconnected) || r.Position() != from {
			pause = 0
		}
		pause = min(max(2*pause, 50*time.Millisecond), 2*time.Second)
		select {
		case <-ctx.Done():
			return nil
		case <-connected:
		case <-time.After(pause):
		}
	}
}

func (r *Recorder) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := r.o.Store.Release(ctx, events.StreamLog, r.holder); err != nil {
		r.o.Logger.Warn("lease not given back: the next recorder waits for its end", "err", err)
	}
}

func (r *Recorder) setTrouble(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = err
}

// watch runs a session and ends it when NATS has reconnected: the stream behind
// the connection may be another, and what was asked before is never answered.
func (r *Recorder) watch(ctx context.Context, connected <-chan nats.Status) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		select {
		case <-connected:
			return errReconnected
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	g.Go(func() error { return r.session(ctx) })
	return g.Wait()
}

// session records from the checkpoint until something goes wrong.
func (r *Recorder) session(ctx context.Context) error {
	if err := r.acquire(ctx); err != nil {
		return err
	}
	if !r.o.Log.Conn().IsConnected() {
		return nats.ErrDisconnected // a request would be lost, and waited for
	}
	stream, at, err := r.start(ctx)
	if err != nil {
		return err
	}
	counts, err := r.o.Store.Rejections(ctx, events.StreamLog)
	if err != nil {
		return err
	}
	r.setRejected(counts)
	r.setTrouble(nil)
	r.position.Store(at.Seq)
	r.stream.Store(&stream)
	r.o.Logger.Info("recording", "stream", events.StreamLog, "seq", at.Seq)
	r.o.Recorded(at.Seq)

	g, ctx := errgroup.WithContext(ctx)
	src := newSource()
	g.Go(func() error { return src.run(ctx, stream, at.Seq+1) })
	g.Go(func() error { return src.gather(ctx) })
	g.Go(func() error { return r.write(ctx, src.batches, at) })
	g.Go(func() error { return r.trimEvery(ctx, stream, at.Trimmed) })
	g.Go(func() error { return r.lookEvery(ctx) })
	return g.Wait()
}

// acquire waits until this recorder holds the lease.
func (r *Recorder) acquire(ctx context.Context) error {
	for {
		mine, err := r.o.Store.Lease(ctx, events.StreamLog, r.holder, r.o.LeaseTTL)
		if err != nil || mine {
			return err
		}
		r.setTrouble(nil) // a spare one is in order
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(r.o.LeaseTTL / 3):
		}
	}
}

// start returns the stream and where to go on, after making sure that the
// checkpoint is one of this stream.
func (r *Recorder) start(ctx context.Context) (jetstream.Stream, readmodel.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stream, err := r.js.Stream(ctx, events.StreamLog)
	if err != nil {
		return nil, readmodel.Position{}, fmt.Errorf("stream %s: %w", events.StreamLog, err)
	}
	at, err := r.reconcile(ctx, stream)
	return stream, at, err
}

// reconcile returns the checkpoint, set back to the beginning if it is not one
// of this stream.
func (r *Recorder) reconcile(ctx context.Context, stream jetstream.Stream) (readmodel.Position, error) {
	created := stream.CachedInfo().Created.UTC().Truncate(time.Microsecond) // what Postgres keeps of it
	at, err := r.o.Store.Checkpoint(ctx, events.StreamLog, created)
	if err != nil {
		return at, err
	}
	switch {
	case !at.Incarnation.Equal(created):
		if at.Seq > 0 && !r.o.AdoptNewLog {
			return at, fmt.Errorf("%w: stream %s was made %s, but Postgres has recorded one made %s up to %d; restore the NATS store that belongs to this database, or let the recorder adopt the new log",
				ErrOtherStream, events.StreamLog, created.Format(time.RFC3339), at.Incarnation.Format(time.RFC3339), at.Seq)
		}
		r.o.Logger.Warn("recording a new log from its beginning", "created", created, "before", at.Incarnation, "seq", at.Seq)
	case at.Seq == 0:
		return at, nil
	default:
		back, err := wentBack(ctx, stream, at)
		if err != nil || !back {
			return at, err
		}
		// Reading again is harmless: what is archived is recognised.
		r.metrics.rewinds.Inc()
		r.o.Logger.Error("the log has lost what was recorded already; reading it again from its beginning",
			"recorded", at.Seq)
	}
	if err := r.o.Store.Rewind(ctx, at, created); err != nil {
		return at, err
	}
	return r.o.Store.Checkpoint(ctx, events.StreamLog, created)
}

// wentBack reports whether the stream lost its tail or was restored from an
// older copy: it ends before the checkpoint, or has another message there.
func wentBack(ctx context.Context, stream jetstream.Stream, at readmodel.Position) (bool, error) {
	info, err := stream.Info(ctx) // newer than the checkpoint
	if err != nil {
		return false, fmt.Errorf("stream %s: %w", events.StreamLog, err)
	}
	if info.State.LastSeq < at.Seq {
		return true, nil
	}
	m, err := stream.GetMsg(ctx, at.Seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil // erased; nothing to compare
	}
	if err != nil {
		return false, fmt.Errorf("message at the checkpoint: %w", err)
	}
	return m.Header.Get(jetstream.MsgIDHeader) != at.CommitID, nil
}

// write records batch after batch.
func (r *Recorder) write(ctx context.Context, batches <-chan []jetstream.Msg, at readmodel.Position) error {
	// A batch that is under way when ctx ends is finished.
	hard, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, stop) })()

	lease := time.NewTicker(r.o.LeaseTTL / 3)
	defer lease.Stop()
	pace := time.NewTimer(0)
	defer pace.Stop()
	var next <-chan []jetstream.Msg // nil until the pace allows another batch
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-pace.C:
			next = batches
		case <-lease.C:
			mine, err := r.o.Store.Lease(ctx, events.StreamLog, r.holder, r.o.LeaseTTL)
			if err != nil {
				return err
			}
			if !mine {
				return errStepAside
			}
		case list := <-next:
			began := time.Now()
			r.point("batch")
			to, err := r.record(hard, at, list)
			if err != nil {
				return err
			}
			at = to
			r.point("recorded")
			r.position.Store(at.Seq)
			r.metrics.position.Set(float64(at.Seq))
			r.metrics.batches.Observe(time.Since(began).Seconds())
			r.o.Recorded(at.Seq)
			next = nil
			pace.Reset(max(0, r.o.Pace-time.Since(began)))
		}
	}
}
