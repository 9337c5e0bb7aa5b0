package edge

import (
	"context"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/nats-io/nats.go"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

const (
	// shardQueue bounds what NATS has delivered and the hub has not looked at
	// yet. What does not fit is lost to us and shows as a gap or a hole.
	shardQueue = 8192
	// verifyEvery is how often a watched conversation in which nothing happens
	// is compared with the log: live commits travel on a lossy subject.
	verifyEvery = 30 * time.Second
	// snapshotWait is how long an answer to a snapshot request may take.
	snapshotWait = 2 * time.Second
	// cachedTopics bounds the conversations of one person that nobody watches
	// and that are kept to tell their status.
	cachedTopics = 64
	// readers bounds how many conversations are read at once, so that a storm of
	// reconnecting sockets queues here and not as timeouts in the log.
	readers = 64
)

// A hub brings live commits and deltas from NATS to the topics of the persons
// that are here. A person's messages all pass through one shard, in the order
// in which the server sent them.
type hub struct {
	log        *eventlog.Log
	nc         *nats.Conn
	queries    Queries
	metrics    *metrics
	logger     *slog.Logger
	taskServer string

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	shards []*shard
	reads  chan struct{} // a semaphore
	status chan nats.Status

	mu      sync.RWMutex
	persons map[string]*person // by events.UserKey
	conns   map[*conn]struct{}
	asked   map[uint64]*topic // open snapshot requests
	nextAsk uint64
}

type shard struct {
	queue chan *nats.Msg
	inbox string // where snapshots arrive, followed by "." and the request's number
	sub   *nats.Subscription
}

func newHub(o Options, m *metrics) (*hub, error) {
	h := &hub{
		log: o.Log, nc: o.Log.Conn(), queries: o.Queries, metrics: m, logger: o.Logger, taskServer: o.TaskServer,
		reads: make(chan struct{}, readers), persons: map[string]*person{}, conns: map[*conn]struct{}{}, asked: map[uint64]*topic{},
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	for range min(runtime.GOMAXPROCS(0), 8) {
		s := &shard{queue: make(chan *nats.Msg, shardQueue), inbox: h.nc.NewInbox()}
		sub, err := h.nc.ChanSubscribe(s.inbox+".*", s.queue)
		if err != nil {
			h.cancel()
			return nil, err
		}
		s.sub = sub
		h.shards = append(h.shards, s)
		h.wg.Go(func() { h.serve(s) })
	}
	h.status = h.nc.StatusChanged(nats.CONNECTED, nats.RECONNECTING)
	h.wg.Go(h.followConnection)
	h.wg.Go(h.sweepForever)
	return h, nil
}

// close stops the hub once nobody uses it any more.
func (h *hub) close() {
	h.cancel()
	for _, s := range h.shards {
		_ = s.sub.Unsubscribe() // fails only on a closed connection
	}
	h.nc.RemoveStatusListener(h.status)
	h.wg.Wait()
}

func (h *hub) serve(s *shard) {
	for {
		select {
		case <-h.ctx.Done():
			return
		case m := <-s.queue:
			h.handle(s, m)
		}
	}
}

func (h *hub) handle(s *shard, m *nats.Msg) {
	rest, last := cutLast(m.Subject)
	if rest == s.inbox {
		if number, err := strconv.ParseUint(last, 10, 64); err == nil {
			h.answered(number, m)
		}
		return
	}
	rest, key := cutLast(rest)
	h.mu.RLock()
	p := h.persons[key]
	h.mu.RUnlock()
	if p == nil {
		return
	}
	switch {
	case strings.HasPrefix(rest, "delta."):
		p.delta(events.ConversationID(last), m.Data)
	case strings.HasPrefix(rest, "live.log."):
		p.commit(events.ConversationID(last), m.Data)
	}
}

func cutLast(subject string) (before, last string) {
	i := strings.LastIndexByte(subject, '.')
	if i < 0 {
		return "", subject
	}
	return subject[:i], subject[i+1:]
}

func (h *hub) sweepForever() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case now := <-tick.C:
			h.sweep(now)
		}
	}
}

// sweep does what is due by the clock on the wall.
func (h *hub) sweep(now time.Time) {
	h.mu.RLock()
	conns := make([]*conn, 0, len(h.conns))
	for c := range h.conns {
		conns = append(conns, c)
	}
	h.mu.RUnlock()
	for _, c := range conns {
		c.sweep(now)
	}
	topics := 0
	h.each(func(t *topic) {
		topics++
		t.sweep(now)
	})
	h.metrics.topics.Set(float64(topics))
}

// each calls f for every topic, with its person locked.
func (h *hub) each(f func(*topic)) {
	h.mu.RLock()
	persons := make([]*person, 0, len(h.persons))
	for _, p := range h.persons {
		persons = append(persons, p)
	}
	h.mu.RUnlock()
	for _, p := range persons {
		p.mu.Lock()
		for _, t := range p.topics {
			f(t)
		}
		p.mu.Unlock()
	}
}

// background runs f in a goroutine of its own, under the hub's context.
func (h *hub) background(f func(ctx context.Context)) {
	if h.ctx.Err() == nil {
		h.wg.Go(func() { f(h.ctx) })
	}
}

// acquire returns the person, subscribed to the commits of all of their
// conversations; release gives it back.
func (h *hub) acquire(u events.UserID) (*person, error) {
	key := events.UserKey(u)
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.persons[key]; p != nil {
		p.refs++
		return p, nil
	}
	p := &person{
		hub: h, user: u, shard: h.shards[int(key[0]+key[1]+key[2])%len(h.shards)], refs: 1,
		conns: map[*conn]struct{}{}, topics: map[events.ConversationID]*topic{},
	}
	sub, err := h.nc.ChanSubscribe(events.LiveOf(u), p.shard.queue)
	if err != nil {
		return nil, unavailable("The event log", err)
	}
	p.sub = sub
	h.persons[key] = p
	return p, nil
}

func (h *hub) release(p *person) {
	h.mu.Lock()
	p.refs--
	gone := p.refs == 0
	if gone {
		delete(h.persons, events.UserKey(p.user))
	}
	h.mu.Unlock()
	if !gone {
		return
	}
	_ = p.sub.Unsubscribe() // fails only on a closed connection
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.topics {
		t.drop()
	}
}

// ask sends a snapshot request of t; the answer comes through t's shard, in
// order with the deltas around it.
func (h *hub) ask(t *topic) uint64 {
	h.mu.Lock()
	h.nextAsk++
	number := h.nextAsk
	h.asked[number] = t
	h.mu.Unlock()
	if err := h.nc.PublishRequest(t.ref.Snapshot(), t.p.shard.inbox+"."+strconv.FormatUint(number, 10), nil); err != nil {
		h.logger.Debug("snapshot request", "conversation_id", t.ref.Conversation(), "err", err)
	}
	return number
}

func (h *hub) forget(number uint64) {
	h.mu.Lock()
	delete(h.asked, number)
	h.mu.Unlock()
}

func (h *hub) answered(number uint64, m *nats.Msg) {
	h.mu.Lock()
	t := h.asked[number]
	delete(h.asked, number)
	h.mu.Unlock()
	if t == nil {
		return
	}
	t.p.mu.Lock()
	defer t.p.mu.Unlock()
	t.answered(number, m.Data)
}

// A person is somebody who is connected to this edge. Its lock guards its
// topics and their watches.
type person struct {
	hub   *hub
	user  events.UserID
	shard *shard
	sub   *nats.Subscription
	refs  int // guarded by the hub

	mu     sync.Mutex
	conns  map[*conn]struct{}
	topics map[events.ConversationID]*topic
	used   uint64 // counts uses of topics, to find the oldest
}

// topic returns the topic of a conversation and makes it if need be. The caller
// holds the lock.
func (p *person) topic(r events.Ref) *topic {
	t := p.topics[r.Conversation()]
	if t == nil {
		t = newTopic(p, r)
		p.topics[r.Conversation()] = t
	}
	p.used++
	t.used = p.used
	return t
}

// pin returns the topic of a conversation, which stays until unpin.
func (p *person) pin(r events.Ref) *topic {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.topic(r)
	t.pins++
	return t
}

func (p *person) unpin(t *topic) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.pins--
	p.trim()
}

// trim lets go of topics that nobody needs: all if no socket is there to be
// told, else the longest unused above a bound.
func (p *person) trim() {
	bound := cachedTopics
	if len(p.conns) == 0 {
		bound = 0
	}
	for len(p.topics) > bound {
		var oldest *topic
		for _, t := range p.topics {
			if t.idle() && (oldest == nil || t.used < oldest.used) {
				oldest = t
			}
		}
		if oldest == nil {
			return
		}
		oldest.drop()
		delete(p.topics, oldest.ref.Conversation())
	}
}

// tell sends a frame to all of the person's sockets. The caller holds the lock.
func (p *person) tell(f *frame) {
	conns := p.conns
	if fault.Planted(fault.TellEveryone) {
		p.hub.mu.RLock()
		defer p.hub.mu.RUnlock()
		conns = p.hub.conns
	}
	for c := range conns {
		c.out.send(f)
	}
}

func (p *person) commit(id events.ConversationID, raw []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.topics[id]
	if t == nil {
		if len(p.conns) == 0 {
			return
		}
		r, err := events.NewRef(p.user, id)
		if err != nil {
			return
		}
		t = p.topic(r)
		p.trim()
		if p.topics[id] != t {
			return
		}
	}
	c, err := events.DecodeCommit(raw)
	if err != nil || c.UserID != p.user || c.ConversationID != id {
		p.hub.metrics.lost.WithLabelValues("commit").Inc()
		p.hub.logger.Error("unreadable commit", "conversation_id", id, "err", err)
		return
	}
	t.commit(commitFrame(c, raw))
}

func (p *person) delta(id events.ConversationID, raw []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.topics[id]; t != nil && t.deltas != nil {
		t.delta(raw)
	}
}

func (h *hub) add(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns[c] = struct{}{}
}

func (h *hub) remove(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, c)
}

// closeSockets tells every socket that the edge is about to stop.
func (h *hub) closeSockets() {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for c := range h.conns {
		c.out.send(errorFrameOf("", "", draining()))
		c.closeWith(websocket.CloseServiceRestart, "retry_after=1", true)
	}
}

// cutSockets waits for the sockets to end, until ctx does.
func (h *hub) cutSockets(ctx context.Context, sockets *sync.WaitGroup) {
	ended := context.AfterFunc(ctx, func() {
		h.mu.RLock()
		defer h.mu.RUnlock()
		for c := range h.conns {
			_ = c.nc.Close() // its reader ends, and clears up
		}
	})
	sockets.Wait()
	ended()
}
