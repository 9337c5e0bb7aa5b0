package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/parleychat/parley/events"
)

// A person writes, with one thing in hand at a time, and reads on two devices.
type person struct {
	w       *crowd
	id      events.UserID
	canary  string
	rng     *rand.Rand // of the writer alone
	devices []*device

	mu       sync.Mutex
	requests []*request
	foreign  []string
	convs    []*talk
}

// A talk is a conversation as its writer knows it.
type talk struct {
	id events.ConversationID
	// runs are those that the person was told about, oldest first.
	runs []events.RunID
}

const (
	// maxTalks bounds a person's open conversations.
	maxTalks = 4
	// maxRuns is when a conversation is left for a new one.
	maxRuns = 25
)

// Acts that a scene may prefer.
const (
	actMuch   = "much"
	actCancel = "cancel"
)

// errNotSent reports that nothing left the client.
var errNotSent = errors.New("not sent")

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// write does one thing after the other until ctx ends.
func (p *person) write(ctx context.Context) {
	acts := []struct {
		weight int
		name   string
		act    func(context.Context)
	}{
		{46, "say", p.say},
		{8, "twice", p.sayTwice},
		{7, actMuch, p.sayMuch},
		{12, actCancel, p.cancel},
		{10, "by hand", p.callByHand},
		{5, "regenerate", p.regenerate},
		{4, "edit", p.edit},
		{4, "tidy", p.tidy},
		{2, "delete", p.deleteAndRestore},
		{4, "misbehave", p.misbehave},
		{3, "peep", p.peep},
		{2, "borrow", p.borrow},
	}
	total := 0
	for i := range acts {
		if acts[i].name == p.w.habit.act {
			acts[i].weight *= 20
		}
		total += acts[i].weight
	}
	for {
		if !pause(ctx, time.Duration(100+p.rng.IntN(900))*time.Millisecond) {
			return
		}
		dice := p.rng.IntN(total)
		for _, a := range acts {
			if dice -= a.weight; dice < 0 {
				a.act(ctx)
				break
			}
		}
	}
}

// note keeps a request that is about to be sent.
func (p *person) note(r request) *request {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.User = p.id
	k := &r
	p.requests = append(p.requests, k)
	return k
}

func (p *person) tried(r *request, t try) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.Tries = append(r.Tries, t)
}

// records returns copies of the requests.
func (p *person) records() (list []request, foreign []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.requests {
		k := *r
		k.Tries = append([]try(nil), r.Tries...)
		list = append(list, k)
	}
	return list, p.foreign
}

// look searches what an edge sent for other persons' secrets.
func (p *person) look(body string) {
	if bad := foreignCanary(body, p.canary); bad != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.foreign = append(p.foreign, bad+" in "+clip(body, 300))
	}
}

// pick returns one of the person's conversations, or nil for a new one.
func (p *person) pick() *talk {
	if len(p.convs) < maxTalks && (len(p.convs) == 0 || p.rng.IntN(4) == 0) {
		return nil
	}
	t := p.convs[p.rng.IntN(len(p.convs))]
	if len(t.runs) > maxRuns {
		// A full one makes room for another.
		for i, c := range p.convs {
			if c == t {
				p.convs = append(p.convs[:i:i], p.convs[i+1:]...)
			}
		}
		return nil
	}
	return t
}

// order makes up something to say.
func (p *person) order(id string) order {
	o := order{marker: id, canary: p.canary}
	switch p.w.habit.verb {
	case verbSlow:
		o.verb, o.count = verbSlow, 100+p.rng.IntN(30)
		return o
	case "":
	default:
		o.verb, o.count = p.w.habit.verb, 1+p.rng.IntN(6)
		return o
	}
	switch dice := p.rng.IntN(100); {
	case dice < 35:
		o.verb, o.count = verbSay, 3+p.rng.IntN(80)
	case dice < 60:
		o.verb, o.count = verbSlow, 20+p.rng.IntN(110)
	case dice < 75:
		o.verb, o.count = verbAdd, 1+p.rng.IntN(5)
	case dice < 85:
		o.verb, o.count = verbChain, 1+p.rng.IntN(3)
	case dice < 95:
		o.verb, o.count = verbEdit, 1+p.rng.IntN(3)
	default:
		o.verb, o.count = verbOdd, 1
	}
	return o
}

// message prepares a message in t, or in a conversation of its own.
func (p *person) message(t *talk, id string, parent events.RunID) (*request, outgoing) {
	m := outgoing{id: id, text: p.order(id).text(), parent: parent}
	conv := events.ConversationIDFor(p.id, events.MessageID(id))
	if t != nil {
		m.conv, conv = t.id, t.id
		if p.rng.IntN(8) == 0 || p.w.habit.rude {
			m.busy = "interrupt"
		}
	}
	return p.note(request{ID: id, Kind: kindMessage, Conversation: conv, Text: m.text}), m
}

// told adds what an accepted message taught to the writer's picture.
func (p *person) told(t *talk, r *request) {
	if r.verdict() != accepted {
		return
	}
	run := events.RunIDFor(p.id, r.Conversation, events.MessageID(r.ID))
	if t == nil {
		for _, c := range p.convs {
			if c.id == r.Conversation {
				t = c
			}
		}
	}
	if t == nil {
		t = &talk{id: r.Conversation}
		p.convs = append(p.convs, t)
		for _, d := range p.devices {
			d.follow(t.id)
		}
	}
	if slices.Contains(t.runs, run) {
		return
	}
	t.runs = append(t.runs, run)
	p.w.share(r.ID, place{p.id, r.Conversation})
}

// say sends a message, and goes on trying under the same id until it is known
// what became of it, or patience ends.
func (p *person) say(ctx context.Context) {
	t := p.pick()
	r, m := p.message(t, newID(), "")
	p.insist(ctx, r, m)
	p.told(t, r)
}

// insist tries up to five times, each time by any way.
func (p *person) insist(ctx context.Context, r *request, m outgoing) {
	for i := range 5 {
		p.tried(r, p.send(ctx, m, p.rng.IntN(ways)))
		if r.verdict() != unknown && !busy(r) || ctx.Err() != nil {
			return
		}
		if !pause(ctx, time.Duration(100+p.rng.IntN(400)*(i+1))*time.Millisecond) {
			return
		}
	}
}

// busy reports that the last refusal asked to come again: the request may yet
// be accepted, and both is to be true in the end.
func busy(r *request) bool {
	last := r.Tries[len(r.Tries)-1]
	return last.Verdict == refused && (last.Status == 503 || last.Code == "draining" || last.Code == "unavailable")
}

// sayTwice sends the same id several times at once, to both edges and by
// different ways, and sometimes with another text.
func (p *person) sayTwice(ctx context.Context) {
	t := p.pick()
	r, m := p.message(t, newID(), "")
	var wg sync.WaitGroup
	for range 2 + p.rng.IntN(4) {
		way := p.rng.IntN(ways)
		wg.Go(func() { p.tried(r, p.send(ctx, m, way)) })
	}
	wg.Wait()
	if r.verdict() == unknown {
		p.insist(ctx, r, m)
	}
	p.told(t, r)
	if r.verdict() == accepted && p.rng.IntN(2) == 0 {
		other := m
		other.text = order{marker: newID(), canary: p.canary, verb: verbSay, count: 3}.text()
		bad := p.note(request{ID: m.id, Kind: kindBad, Conversation: r.Conversation, Text: other.text})
		p.tried(bad, p.send(ctx, other, p.rng.IntN(ways)))
	}
}

// sayMuch sends several short messages into one conversation at once: while one
// is answered, others are accepted behind it.
func (p *person) sayMuch(ctx context.Context) {
	t, _ := p.aRun()
	if t == nil {
		return
	}
	var wg sync.WaitGroup
	var sent []*request
	for range 3 + p.rng.IntN(4) {
		id := newID()
		m := outgoing{id: id, conv: t.id, text: order{marker: id, canary: p.canary, verb: verbSay, count: 1 + p.rng.IntN(6)}.text()}
		r := p.note(request{ID: id, Kind: kindMessage, Conversation: t.id, Text: m.text})
		sent = append(sent, r)
		way := []int{waySocket, wayAsync}[p.rng.IntN(2)]
		wg.Go(func() { p.tried(r, p.send(ctx, m, way)) })
	}
	wg.Wait()
	for _, r := range sent {
		p.told(t, r)
	}
}

// regenerate asks an earlier message again.
func (p *person) regenerate(ctx context.Context) {
	t, run := p.aRun()
	if t == nil {
		return
	}
	id := newID()
	r := p.note(request{ID: id, Kind: kindRegenerate, Conversation: t.id, Text: id})
	for range 3 {
		p.tried(r, p.frame(ctx, map[string]any{"type": "regenerate", "id": id, "conversation_id": t.id, "run_id": run}))
		if r.verdict() != unknown || ctx.Err() != nil {
			break
		}
		pause(ctx, 300*time.Millisecond)
	}
	p.told(t, r)
}

// edit says something else in the place of an earlier message.
func (p *person) edit(ctx context.Context) {
	t, run := p.aRun()
	if t == nil {
		return
	}
	r, m := p.message(t, newID(), run)
	p.insist(ctx, r, m)
	p.told(t, r)
}

// aRun returns a run that the person knows of.
func (p *person) aRun() (*talk, events.RunID) {
	if len(p.convs) == 0 {
		return nil, ""
	}
	t := p.convs[p.rng.IntN(len(p.convs))]
	if len(t.runs) == 0 {
		return nil, ""
	}
	return t, t.runs[p.rng.IntN(len(t.runs))]
}

// cancel stops the newest run of a conversation, or says something and stops
// that at once.
func (p *person) cancel(ctx context.Context) {
	if len(p.convs) == 0 {
		p.say(ctx)
		return
	}
	t := p.convs[p.rng.IntN(len(p.convs))]
	var run events.RunID
	var wg sync.WaitGroup
	if p.rng.IntN(2) == 0 && len(t.runs) > 0 {
		run = t.runs[len(t.runs)-1]
	} else {
		r, m := p.message(t, newID(), "")
		run = events.RunIDFor(p.id, t.id, events.MessageID(r.ID))
		delay := time.Duration(p.rng.IntN(600)) * time.Millisecond
		wg.Go(func() { p.tried(r, p.send(ctx, m, wayAsync)) })
		defer func() {
			if r.verdict() == unknown {
				p.insist(ctx, r, m)
			}
			p.told(t, r)
		}()
		pause(ctx, delay)
	}
	id := newID()
	r := p.note(request{ID: id, Kind: kindCancel, Conversation: t.id, Text: string(run)})
	if p.rng.IntN(2) == 0 {
		p.tried(r, p.frame(ctx, map[string]any{"type": "cancel", "id": id, "conversation_id": t.id, "run_id": run}))
	} else {
		p.tried(r, p.post(ctx, "POST", fmt.Sprintf("/runs/%s/cancel?conversation_id=%s", run, t.id), nil, "cancel"))
	}
	wg.Wait()
}

// callByHand calls a tool in the task panel, sometimes twice at once.
func (p *person) callByHand(ctx context.Context) {
	id := newID()
	name, args := "add_task", map[string]any{"title": p.canary + " by hand " + id}
	if dice := p.rng.IntN(6); dice == 0 {
		name, args = "complete_task", map[string]any{"task_id": 1 + p.rng.IntN(12)}
	} else if dice == 1 {
		name, args = "delete_task", map[string]any{"task_id": 1 + p.rng.IntN(12)}
	}
	r := p.note(request{ID: id, Kind: kindCall, Conversation: events.Home, Text: name})
	times := 1
	if p.rng.IntN(3) == 0 {
		times = 3
	}
	for range 3 {
		var wg sync.WaitGroup
		for range times {
			byFrame := p.rng.IntN(3) == 0
			wg.Go(func() {
				if byFrame {
					p.tried(r, p.frame(ctx, map[string]any{"type": "call_tool", "id": id, "name": name, "arguments": args}))
				} else {
					p.tried(r, p.post(ctx, "POST", "/tool_calls", map[string]any{"id": id, "name": name, "arguments": args}, "call"))
				}
			})
		}
		wg.Wait()
		if r.verdict() != unknown || ctx.Err() != nil {
			break
		}
		pause(ctx, 500*time.Millisecond)
	}
	for _, d := range p.devices {
		d.follow(events.Home)
	}
}

// tidy renames, pins, marks as read or rates.
func (p *person) tidy(ctx context.Context) {
	t, run := p.aRun()
	if t == nil {
		return
	}
	id := newID()
	f := map[string]any{"id": id, "conversation_id": t.id}
	switch p.rng.IntN(4) {
	case 0:
		f["type"], f["title"] = "rename", p.canary+" "+id
	case 1:
		f["type"], f["pinned"] = "pin", p.rng.IntN(2) == 0
	case 2:
		f["type"], f["read_n"] = "read", p.rng.IntN(20)
	default:
		f["type"], f["run_id"], f["rating"] = "rate", run, "up"
	}
	p.tried(p.note(request{ID: id, Kind: kindOther, Conversation: t.id, Text: id}), p.frame(ctx, f))
}

// deleteAndRestore hides a conversation for a moment.
func (p *person) deleteAndRestore(ctx context.Context) {
	t, _ := p.aRun()
	if t == nil {
		return
	}
	for _, word := range []string{"delete", "restore"} {
		id := newID()
		r := p.note(request{ID: id, Kind: kindOther, Conversation: t.id, Text: id})
		for range 4 {
			p.tried(r, p.frame(ctx, map[string]any{"type": word, "id": id, "conversation_id": t.id}))
			if r.verdict() != unknown || ctx.Err() != nil {
				break
			}
			pause(ctx, 300*time.Millisecond)
		}
		pause(ctx, time.Duration(p.rng.IntN(500))*time.Millisecond)
	}
}

// misbehave sends what must be refused, whatever state everything is in.
func (p *person) misbehave(ctx context.Context) {
	id := newID()
	m := outgoing{id: id, text: order{marker: id, canary: p.canary, verb: verbSay, count: 3}.text()}
	r := request{ID: id, Kind: kindBad, Conversation: events.ConversationIDFor(p.id, events.MessageID(id)), Text: m.text}
	switch p.rng.IntN(5) {
	case 0:
		m.text += "\x00"
	case 1:
		m.model = "no-such-model"
	case 2:
		m.conv = events.ConversationID("nowhere" + id[:8])
	case 3:
		m.timezone = "Mars/Olympus"
	default:
		m.parent = "no id!"
	}
	k := p.note(r)
	p.tried(k, p.send(ctx, m, p.rng.IntN(ways)))
}

// peep asks for what belongs to another person.
func (p *person) peep(ctx context.Context) {
	id, at, ok := p.w.borrow(p)
	if !ok {
		return
	}
	r := p.note(request{ID: newID(), Kind: kindForeign, Conversation: at.Conversation, Text: id, Foreign: true})
	run := events.RunIDFor(at.User, at.Conversation, events.MessageID(id))
	paths := []string{
		"/conversations/" + string(at.Conversation), "/conversations/" + string(at.Conversation) + "/messages",
		"/conversations/" + string(at.Conversation) + "/events", "/runs/" + string(run) + "?conversation_id=" + string(at.Conversation), "/runs/" + string(run),
	}
	p.tried(r, p.post(ctx, "GET", paths[p.rng.IntN(len(paths))], nil, "peep"))
	p.tried(r, p.post(ctx, "POST", fmt.Sprintf("/runs/%s/cancel?conversation_id=%s", run, at.Conversation), nil, "peep"))
	p.tried(r, p.postAs(ctx, at.User, "GET", "/conversations", nil, "peep"))
}

// borrow uses another person's message id, which must mean nothing.
func (p *person) borrow(ctx context.Context) {
	id, _, ok := p.w.borrow(p)
	if !ok {
		return
	}
	p.mu.Lock()
	for _, r := range p.requests {
		if r.ID == id {
			ok = false // already borrowed
		}
	}
	p.mu.Unlock()
	if !ok {
		return
	}
	r, m := p.message(nil, id, "")
	p.insist(ctx, r, m)
	p.told(nil, r)
}

// clarify asks again about three in four of what has no answer yet.
func (p *person) clarify(ctx context.Context) {
	p.mu.Lock()
	list := append([]*request(nil), p.requests...)
	p.mu.Unlock()
	for _, r := range list {
		if r.Kind != kindMessage || r.verdict() != unknown || p.rng.IntN(4) == 0 {
			continue
		}
		m := outgoing{id: r.ID, text: r.Text}
		if r.Conversation != events.ConversationIDFor(p.id, events.MessageID(r.ID)) {
			m.conv = r.Conversation
		}
		for range 5 {
			p.tried(r, p.send(ctx, m, wayAsync))
			if r.verdict() != unknown && !busy(r) || !pause(ctx, 200*time.Millisecond) {
				break
			}
		}
		p.told(nil, r)
	}
}
