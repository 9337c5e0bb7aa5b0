package edge

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/eventlog"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/readmodel"
)

const (
	// commitWait is how long a write waits for its commit before it answers that
	// the command is stored.
	commitWait = 10 * time.Second
	// recorderWait is how long a read waits for the recorder to reach min_n.
	recorderWait = time.Second
	// lastTextRunes bounds the text in a conversation's line.
	lastTextRunes = 140
)

// PatchRequest is the body of PATCH …/conversations/{conversation_id}.
type PatchRequest struct {
	Title    *string `json:"title,omitempty"`
	Pinned   *bool   `json:"pinned,omitempty"`
	Archived *bool   `json:"archived,omitempty"`
	ReadN    *uint64 `json:"read_n,omitempty"`
}

// EventsPage is a page of a conversation's commits.
type EventsPage struct {
	Data    []jsontext.Value `json:"data"`
	HasMore bool             `json:"has_more"`
	// After is the n to ask for the next page with.
	After uint64 `json:"after"`
}

func (c *call) conversations() error {
	limit, err := c.limit(50, 200)
	if err != nil {
		return err
	}
	q, err := c.text("q")
	if err != nil {
		return err
	}
	after, err := c.text("after")
	if err != nil {
		return err
	}
	archived, err := c.flag("archived")
	if err != nil {
		return err
	}
	page, err := c.e.o.Queries.Conversations(c.r.Context(), c.user, readmodel.ConversationsQuery{Text: q, Archived: archived, Limit: limit, After: after})
	if err != nil {
		return queryError(err)
	}
	if page.Data == nil {
		page.Data = []readmodel.Summary{}
	}
	return c.json(http.StatusOK, page)
}

// queryError keeps what a query says about the request; the rest is Postgres away.
func queryError(err error) error {
	if errors.Is(err, readmodel.ErrNotFound) || errors.Is(err, readmodel.ErrCursor) {
		return err
	}
	return unavailable("The database", err)
}

func (c *call) conversation() error {
	r, err := c.ref()
	if err != nil {
		return err
	}
	s, err := c.e.summary(c.r.Context(), r)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, s)
}

// summary returns a conversation's line from Postgres, else from the log.
func (e *Edge) summary(ctx context.Context, r events.Ref) (readmodel.Summary, error) {
	if r.Conversation() == events.Home {
		return readmodel.Summary{}, notFound("conversation")
	}
	qctx, cancel := patient(ctx)
	defer cancel()
	s, err := e.o.Queries.Summary(qctx, r)
	if err == nil {
		return s, nil
	}
	c, err := e.wholeConversation(ctx, r)
	if err != nil {
		return readmodel.Summary{}, err
	}
	return summarize(c), nil
}

// wholeConversation folds all of a conversation, or says that there is none.
func (e *Edge) wholeConversation(ctx context.Context, r events.Ref) (*events.Conversation, error) {
	c, err := e.hub.fold(ctx, r)
	if err != nil {
		return nil, unavailable("The event log", err)
	}
	if c.N == 0 {
		known, err := e.o.Log.Known(ctx, r)
		if err != nil {
			return nil, unavailable("The event log", err)
		}
		if !known {
			return nil, notFound("conversation")
		}
	}
	return c, nil
}

func summarize(c *events.Conversation) readmodel.Summary {
	return readmodel.Summary{
		ConversationID: c.ConversationID, Title: c.Title, TitleBy: c.TitleBy, Pinned: c.Pinned, Archived: c.Archived, ReadN: c.ReadN, N: c.N,
		Status: statusOf(c), CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt, LastText: lastText(c), Deleted: c.Deleted,
	}
}

func lastText(c *events.Conversation) string {
	r := c.Tip()
	if r == nil {
		return ""
	}
	text := r.Answer()
	if text == "" {
		text = r.Message.Text
	}
	if runes := []rune(text); len(runes) > lastTextRunes {
		text = string(runes[:lastTextRunes])
	}
	return text
}

// overlay brings a line up to what the edge knows to be newer.
func overlay(s readmodel.Summary, c *events.Conversation) readmodel.Summary {
	if c.N > s.N {
		s.Title, s.TitleBy, s.Pinned, s.Archived, s.ReadN, s.N = c.Title, c.TitleBy, c.Pinned, c.Archived, c.ReadN, c.N
		s.Status, s.UpdatedAt, s.Deleted = statusOf(c), c.UpdatedAt, c.Deleted
	}
	return s
}

func (c *call) patchConversation() error {
	r, err := c.ref()
	if err != nil {
		return err
	}
	var in PatchRequest
	if err := c.body(&in); err != nil {
		return err
	}
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	if key == "" {
		key = events.MessageID(newID())
	}
	var list []control
	// One request may become several commands, each with an id of its own.
	id := func() string { return string(events.KeyID(c.user, string(key)+" "+strconv.Itoa(len(list)))) }
	if in.Title != nil {
		if err := checkText("The title", *in.Title, events.MaxTitleRunes); err != nil {
			return err
		}
		list = append(list, rename(id(), r.Conversation(), *in.Title))
	}
	if in.Pinned != nil {
		list = append(list, pin(id(), r.Conversation(), *in.Pinned))
	}
	if in.Archived != nil {
		list = append(list, archive(id(), r.Conversation(), *in.Archived))
	}
	if in.ReadN != nil {
		list = append(list, read(id(), r.Conversation(), *in.ReadN))
	}
	if len(list) == 0 {
		return badRequest("Say at least one of title, pinned, archived and read_n.")
	}
	return c.change(r, list, func(s readmodel.Summary) error { return c.json(http.StatusOK, s) })
}

func (c *call) deleteConversation() error {
	r, err := c.ref()
	if err != nil {
		return err
	}
	return c.change(r, []control{remove(newID(), r.Conversation())}, func(readmodel.Summary) error {
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	})
}

func (c *call) restoreConversation() error {
	r, err := c.ref()
	if err != nil {
		return err
	}
	return c.change(r, []control{restore(newID(), r.Conversation())}, func(s readmodel.Summary) error {
		return c.json(http.StatusOK, s)
	})
}

// change carries out commands and answers once they are in the log. If that
// takes too long, it answers that they are stored.
func (c *call) change(r events.Ref, list []control, answer func(readmodel.Summary) error) error {
	p, err := c.e.hub.acquire(c.user)
	if err != nil {
		return err
	}
	defer c.e.hub.release(p)
	ctx, cancel := context.WithTimeout(c.r.Context(), commitWait)
	defer cancel()
	t := p.pin(r)
	defer p.unpin(t)
	for i, k := range list {
		o, err := c.e.control(ctx, p, k)
		if err != nil && i > 0 {
			return unknownOutcome(err) // a part is done
		}
		if err != nil {
			return err
		}
		committed := c.wait(ctx, o.w)
		o.release()
		if !committed {
			return c.storedOnly("/api/" + string(c.user) + "/conversations/" + string(r.Conversation()))
		}
	}
	s, err := c.e.summary(c.r.Context(), r)
	if err != nil {
		return stored(err)
	}
	p.mu.Lock()
	s = overlay(s, t.state)
	p.mu.Unlock()
	return answer(s)
}

// wait reports whether what w waits for has come before ctx ends or the edge stops.
func (c *call) wait(ctx context.Context, w *waiter) bool {
	select {
	case <-w.done:
		return true
	case <-ctx.Done():
		return false
	case <-c.e.stop:
		return false
	}
}

// storedOnly answers for a command whose commit is still to come.
func (c *call) storedOnly(location string) error {
	c.w.Header().Set("Location", location)
	return c.json(http.StatusAccepted, map[string]string{"status": "stored"})
}

// messages answers the state from which a client reads on.
func (c *call) messages() error {
	r, err := c.ref()
	if err != nil {
		return err
	}
	limit, err := c.limit(60, 500)
	if err != nil {
		return err
	}
	before := events.RunID(c.r.URL.Query().Get("before"))
	if before != "" {
		if err := checkID("before", before); err != nil {
			return err
		}
	}
	minN, err := c.number("min_n")
	if err != nil {
		return err
	}
	base, err := c.e.base(c.r.Context(), r, limit, before, minN)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, base)
}

func (c *call) number(name string) (uint64, error) {
	s := c.r.URL.Query().Get(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, badRequest(name + " must be a number, 0 or more.")
	}
	return n, nil
}

// base reads from Postgres if it is there and not too far behind, else from the log.
func (e *Edge) base(ctx context.Context, r events.Ref, limit int, before events.RunID, minN uint64) (*events.Conversation, error) {
	wctx, cancel := context.WithTimeout(ctx, recorderWait)
	defer cancel()
	for wait := 20 * time.Millisecond; ; wait *= 2 {
		base, err := e.o.Queries.Base(wctx, r, limit, before)
		switch {
		case err == nil && base.N >= minN:
			return base, nil
		case err == nil && before == "" && !pause(wctx, wait):
			return e.extend(ctx, r, base, limit)
		case err == nil && before != "":
			return base, nil // what lies before a run does not change
		case err != nil:
			return e.baseFromLog(ctx, r, limit, before)
		}
	}
}

// extend adds to a base what the recorder has not got yet.
func (e *Edge) extend(ctx context.Context, r events.Ref, base *events.Conversation, limit int) (*events.Conversation, error) {
	tail, err := e.hub.tail(ctx, r, base.N)
	if err == nil {
		err = applyAll(base, tail)
	}
	if err != nil {
		return e.baseFromLog(ctx, r, limit, "")
	}
	return base.Base(limit), nil
}

func (e *Edge) baseFromLog(ctx context.Context, r events.Ref, limit int, before events.RunID) (*events.Conversation, error) {
	c, err := e.wholeConversation(ctx, r)
	if err != nil {
		return nil, err
	}
	if before == "" {
		return c.Base(limit), nil
	}
	run := c.Run(before)
	if run == nil {
		return nil, notFound("run")
	}
	path := c.Path(run)
	path = path[:len(path)-1]
	page := c.Base(0)
	page.HasMore = len(path) > limit
	page.Runs = slices.Clone(path[max(0, len(path)-limit):])
	return page, nil
}

// events answers a page of commits, or a stream that goes on.
func (c *call) events() error {
	r, err := c.ref()
	if err != nil {
		return err
	}
	if _, named := accepts(c.r, "text/event-stream"); named {
		return c.tail(r)
	}
	if ok, _ := accepts(c.r, "application/json"); !ok {
		return refuse(http.StatusNotAcceptable, codeNotAcceptable, "This answers application/json or text/event-stream.")
	}
	after, err := c.number("after")
	if err != nil {
		return err
	}
	limit, err := c.limit(500, 1000)
	if err != nil {
		return err
	}
	list, more, err := c.commits(r, after, limit)
	if err != nil {
		return err
	}
	page := EventsPage{Data: []jsontext.Value{}, HasMore: more, After: after}
	for i, size := 0, 0; i < len(list); i++ {
		if size += len(list[i].Raw); size > pageBytes && i > 0 {
			page.HasMore = true
			break
		}
		page.Data = append(page.Data, jsontext.Value(list[i].Raw))
		page.After = list[i].N
	}
	return c.json(http.StatusOK, page)
}

// pageBytes bounds the commits of one page; a larger one is a page of its own.
const pageBytes = 4 << 20

// commits reads commits after n; a reader who is ahead gets none.
func (c *call) commits(r events.Ref, after uint64, limit int) ([]eventlog.Stored, bool, error) {
	list, more, err := c.e.hub.commits(c.r.Context(), r, after, limit)
	switch {
	case err == nil, errors.Is(err, errAhead):
		return list, more, nil
	case errors.As(err, new(*apiError)):
		return nil, false, err
	default:
		return nil, false, unavailable("The event log", err)
	}
}

// tail streams commits and deltas after the client's last id.
func (c *call) tail(r events.Ref) error {
	after, err := c.resumeAfter(r.Conversation())
	if err != nil {
		return err
	}
	c.long()
	p, err := c.e.hub.acquire(c.user)
	if err != nil {
		return err
	}
	defer c.e.hub.release(p)
	st := c.newStream("")
	p.mu.Lock()
	st.watch(p.topic(r), after)
	st.w.start(false)
	p.mu.Unlock()
	defer st.stop(p)
	return st.serve(func(*frame) bool { return false })
}

// resumeAfter reads Last-Event-ID, which is what EventSource sends by itself,
// else ?after=.
func (c *call) resumeAfter(conv events.ConversationID) (uint64, error) {
	values := c.r.Header.Values("Last-Event-Id")
	if len(values) == 0 {
		return c.number("after")
	}
	return parseEventID(values[0], conv)
}

// parseEventID reads n, or <conversation>:<n> as the chat stream's ids are.
func parseEventID(s string, conv events.ConversationID) (uint64, error) {
	if rest, ok := strings.CutPrefix(s, string(conv)+":"); ok {
		s = rest
	}
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, badRequest("Last-Event-ID must be the id of an event of this conversation.")
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, badRequest("Last-Event-ID must be the id of an event of this conversation.")
	}
	return n, nil
}
