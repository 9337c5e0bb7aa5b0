package edge

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/readmodel"
)

const (
	// gapEntries bounds the conversations and tasks that are told again after a gap.
	gapEntries = 50
	// gapSlack covers clocks that differ.
	gapSlack = time.Minute
)

// gapLooks are when the lists are read after a gap: the recorder had one too.
var gapLooks = []time.Duration{500 * time.Millisecond, 4 * time.Second}

// followConnection treats every reconnect as a gap: what was published
// meanwhile has not reached us.
func (h *hub) followConnection() {
	lost := time.Now()
	for {
		select {
		case <-h.ctx.Done():
			return
		case s, ok := <-h.status:
			if !ok {
				return
			}
			if s != nats.CONNECTED {
				lost = time.Now()
				continue
			}
			h.logger.Info("nats connected again, reading every watched conversation")
			h.each((*topic).recheck)
			since := lost.Add(-gapSlack)
			h.background(func(ctx context.Context) { h.tellChanges(ctx, since) })
		}
	}
}

// tellChanges tells the sockets of what changed since a time in conversations
// that nobody watches, and in tasks. It is best effort: it rests on the recorder.
func (h *hub) tellChanges(ctx context.Context, since time.Time) {
	for _, wait := range gapLooks {
		if !pause(ctx, wait) {
			return
		}
		h.mu.RLock()
		var persons []*person
		for _, p := range h.persons {
			persons = append(persons, p)
		}
		h.mu.RUnlock()
		for _, p := range persons {
			p.tellChanges(ctx, since)
		}
	}
}

func (p *person) tellChanges(ctx context.Context, since time.Time) {
	p.mu.Lock()
	sockets := len(p.conns)
	p.mu.Unlock()
	if sockets == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	list, err := p.hub.queries.Conversations(ctx, p.user, readmodel.ConversationsQuery{Limit: gapEntries})
	if err != nil {
		p.hub.logger.Warn("lists after a gap", "err", err)
		return
	}
	tasks, err := p.hub.queries.Tasks(ctx, p.user, readmodel.TasksQuery{Status: "all", Limit: gapEntries})
	if err != nil {
		p.hub.logger.Warn("lists after a gap", "err", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range list.Data {
		r, err := events.NewRef(p.user, s.ConversationID)
		if err != nil || s.UpdatedAt.Before(since) {
			continue
		}
		if t := p.topic(r); t.state == nil || t.state.N < s.N {
			t.load() // and tells what is new
		}
	}
	for _, t := range tasks.Data {
		if !t.UpdatedAt.Before(since) {
			p.tell(jsonFrame(taskFrame{Type: "task", Task: t}))
		}
	}
	p.trim()
}

type taskFrame struct {
	Type string         `json:"type"` // task
	Task readmodel.Task `json:"task"`
}
