package edge

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
	"github.com/parleychat/parley/readmodel"
)

// memory implements Queries over the commits that it hears: a recorder and its
// database in one map. It can be taken down.
type memory struct {
	mu    sync.Mutex
	down  bool
	convs map[events.Ref]*events.Conversation
	raw   map[events.Ref][][]byte
}

func newMemory(t testing.TB, nc *nats.Conn) *memory {
	t.Helper()
	m := &memory{convs: map[events.Ref]*events.Conversation{}, raw: map[events.Ref][][]byte{}}
	sub, err := nc.Subscribe("live.log.>", m.record)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	return m
}

// record keeps a commit, unless it cannot be read or is not where it belongs: a
// recorder tells of that and goes on.
func (m *memory) record(msg *nats.Msg) {
	c, err := events.DecodeCommit(msg.Data)
	if err != nil {
		return
	}
	r := must(c.Ref())
	m.mu.Lock()
	defer m.mu.Unlock()
	conv := m.convs[r]
	if conv == nil {
		conv = events.NewConversation(r)
	}
	if msg.Subject == "live."+r.Log() && conv.Apply(c) == nil {
		m.convs[r], m.raw[r] = conv, append(m.raw[r], msg.Data)
	}
}

func (m *memory) setDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

var errDown = errors.New("database is down")

// read calls f with the lock held, unless the database is down.
func (m *memory) read(f func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return errDown
	}
	return f()
}

func (m *memory) Commits(_ context.Context, r events.Ref, after, before uint64) (list [][]byte, err error) {
	return list, m.read(func() error {
		all := m.raw[r]
		list = slices.Clone(all[min(after, uint64(len(all))):min(before-1, uint64(len(all)))])
		return nil
	})
}

func (m *memory) Conversations(_ context.Context, u events.UserID, q readmodel.ConversationsQuery) (page readmodel.Page[readmodel.Summary], err error) {
	return page, m.read(func() error {
		for r, c := range m.convs {
			if r.User() == u && r.Conversation() != events.Home && !c.Deleted && c.Archived == q.Archived && strings.Contains(c.Title+lastText(c), q.Text) {
				page.Data = append(page.Data, summarize(c))
			}
		}
		slices.SortFunc(page.Data, func(a, b readmodel.Summary) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
		if q.After != "" { // the cursor is the last line's conversation
			i := slices.IndexFunc(page.Data, func(s readmodel.Summary) bool { return string(s.ConversationID) == q.After })
			if i < 0 {
				return readmodel.ErrCursor
			}
			page.Data = page.Data[i+1:]
		}
		if page.HasMore = len(page.Data) > q.Limit; page.HasMore {
			page.Data = page.Data[:q.Limit]
			page.After = string(page.Data[q.Limit-1].ConversationID)
		}
		return nil
	})
}

// Search finds a text in messages: what a search finds is told in readmodel, here
// it is only what an answer is made of.
func (m *memory) Search(_ context.Context, u events.UserID, q readmodel.SearchQuery) (page readmodel.Page[readmodel.Found], err error) {
	page.Data = []readmodel.Found{}
	return page, m.read(func() error {
		if q.After != "" {
			return readmodel.ErrCursor
		}
		for r, c := range m.convs {
			if r.User() != u || c.Deleted || q.Conversation != "" && q.Conversation != r.Conversation() {
				continue
			}
			f := readmodel.Found{ConversationID: r.Conversation(), Title: []readmodel.Piece{{Text: c.Title}}, UpdatedAt: c.UpdatedAt}
			for _, run := range slices.Backward(c.Runs) {
				if strings.Contains(run.Message.Text, q.Text) {
					f.Hits = append(f.Hits, readmodel.Hit{
						RunID: run.RunID, MessageID: run.Message.MessageID, By: events.ByUser, Time: run.Message.Time,
						Excerpt: []readmodel.Piece{{Text: run.Message.Text, Hit: true}},
					})
				}
			}
			if f.Total = len(f.Hits); f.Total > 0 {
				page.Data = append(page.Data, f)
			}
		}
		page.HasMore = len(page.Data) > q.Limit
		page.Data = page.Data[:min(q.Limit, len(page.Data))]
		return nil
	})
}

func (m *memory) conv(r events.Ref) (*events.Conversation, error) {
	if c := m.convs[r]; c != nil {
		return c, nil
	}
	return nil, readmodel.ErrNotFound
}

func (m *memory) Summary(_ context.Context, r events.Ref) (s readmodel.Summary, err error) {
	return s, m.read(func() error {
		c, err := m.conv(r)
		if err == nil {
			s = summarize(c)
		}
		return err
	})
}

func (m *memory) Base(_ context.Context, r events.Ref, limit int, before events.RunID) (base *events.Conversation, err error) {
	return base, m.read(func() error {
		c, err := m.conv(r)
		if err != nil {
			return err
		}
		if before == "" {
			base = c.Base(limit)
			return nil
		}
		return errDown // older pages come from the log in these tests
	})
}

func (m *memory) ConversationOfRun(_ context.Context, u events.UserID, run events.RunID) (id events.ConversationID, err error) {
	return id, m.read(func() error {
		for r, c := range m.convs {
			if r.User() == u && c.Run(run) != nil {
				id = r.Conversation()
				return nil
			}
		}
		return readmodel.ErrNotFound
	})
}

func (m *memory) ConversationOfMessage(_ context.Context, u events.UserID, message events.MessageID) (id events.ConversationID, err error) {
	return id, m.read(func() error {
		for r, c := range m.convs {
			if r.User() == u && c.Run(events.RunIDFor(u, r.Conversation(), message)) != nil {
				id = r.Conversation()
				return nil
			}
		}
		return readmodel.ErrNotFound
	})
}

func (m *memory) Tasks(_ context.Context, u events.UserID, q readmodel.TasksQuery) (page readmodel.TaskPage, err error) {
	return page, m.read(func() error {
		if q.AsOf != nil && *q.AsOf == 0 {
			return nil
		}
		page.Data = []readmodel.Task{{TaskID: 1, Title: "of " + string(u), Status: "open", TaskRev: 1, UpdatedAt: time.Now()}}
		page.TaskRev = 1
		return nil
	})
}

func (m *memory) TaskHistory(_ context.Context, _ events.UserID, task int64, _ int, _ string) (page readmodel.Page[readmodel.TaskChange], err error) {
	return page, m.read(func() error {
		if task != 1 {
			return readmodel.ErrNotFound
		}
		page.Data = []readmodel.TaskChange{{TaskRev: 1, Tool: "add_task", By: events.ByUser, Task: []byte(`{"task_id":1}`)}}
		return nil
	})
}

// TaskChanges knows the one change of task 1, made at the Epoch.
func (m *memory) TaskChanges(_ context.Context, _ events.UserID, q readmodel.TaskChangesQuery) (page readmodel.TaskChanges, err error) {
	return page, m.read(func() error {
		page.After = 1
		if q.After == 0 && !q.Since.After(testkit.Epoch) {
			page.Data = []readmodel.TaskChange{{TaskRev: 1, Tool: "add_task", By: events.ByUser, At: testkit.Epoch, Task: []byte(`{"task_id":1}`)}}
		}
		return nil
	})
}

func (m *memory) Ping(context.Context) error { return m.read(func() error { return nil }) }
