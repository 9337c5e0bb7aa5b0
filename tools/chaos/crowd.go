package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/parleychat/parley/events"
)

// maxPersons bounds the crowd: an edge allows one address so many sockets.
const maxPersons = 64

// A crowd is all persons, and what they share: where the edges are, how to get
// tokens, and the ids that others have used.
type crowd struct {
	edges  func() []string
	token  func(events.UserID) (string, error)
	client *http.Client
	habit  habit

	persons []*person
	mu      sync.Mutex
	ids     []string // message ids of anybody, to be used again by others
	convs   []place  // conversations of anybody, to be peeped at
}

// token is how persons sign in.
type tokenSource func(events.UserID) (string, error)

func newCrowd(seed uint64, count int, edges func() []string, token tokenSource) *crowd {
	w := &crowd{edges: edges, token: token, client: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 5 * time.Second},
	}}
	for i := range count {
		id := events.UserID("p" + strconv.Itoa(i+1))
		p := &person{
			w: w, id: id, canary: "canary-" + strconv.FormatUint(mix(seed, "canary", string(id)), 36),
			rng: rand.New(rand.NewPCG(seed, uint64(i)+1)),
		}
		p.devices = []*device{newDevice(p, "page", seed), newDevice(p, "phone", seed)}
		w.persons = append(w.persons, p)
	}
	return w
}

func (w *crowd) edgeCount() int { return len(w.edges()) }

func (w *crowd) edgeURL(i int) string {
	list := w.edges()
	return list[i%len(list)]
}

// run lets everybody write until writing ends, and the devices read until
// reading ends.
func (w *crowd) run(writing, reading context.Context) (wait func()) {
	var writers, readers sync.WaitGroup
	for _, p := range w.persons {
		for _, d := range p.devices {
			readers.Go(func() { d.run(reading) })
		}
		writers.Go(func() { p.write(writing) })
	}
	return func() {
		writers.Wait()
		w.client.CloseIdleConnections()
	}
}

// clarify sends again, under the same ids, most of what nobody knows about.
func (w *crowd) clarify(ctx context.Context) {
	var all sync.WaitGroup
	for _, p := range w.persons {
		all.Go(func() { p.clarify(ctx) })
	}
	all.Wait()
}

// share remembers an id for others to use.
func (w *crowd) share(id string, at place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids, w.convs = append(w.ids, id), append(w.convs, at)
	if n := len(w.ids); n > 512 {
		w.ids, w.convs = w.ids[n-256:], w.convs[n-256:]
	}
}

// borrow returns an id and a conversation that another person has used.
func (w *crowd) borrow(p *person) (id string, at place, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range 8 {
		if len(w.ids) == 0 {
			return "", place{}, false
		}
		i := p.rng.IntN(len(w.ids))
		if w.convs[i].User != p.id {
			return w.ids[i], w.convs[i], true
		}
	}
	return "", place{}, false
}

// caughtUp reports how many of the devices' views are behind the log.
func (w *crowd) behind(last map[place]uint64) (count int, example string) {
	for _, p := range w.persons {
		for at, n := range last {
			if at.User != p.id {
				continue
			}
			for _, d := range p.devices {
				if have := d.at(at.Conversation); have < n {
					count++
					example = fmt.Sprintf("%s of %s has %d of %d commits of %s", d.name, p.id, have, n, at.Conversation)
				}
			}
		}
	}
	return count, example
}
