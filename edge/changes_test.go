package edge

import (
	"testing"

	"github.com/parleychat/parley/readmodel"
)

func TestTaskChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		query string
		n     int
	}{
		{"", 1},
		{"?since=2026-01-05T09:00:00Z", 1},
		{"?since=2026-01-05T10:00:00%2B01:00", 1},
		{"?since=2026-01-05T09:00:00.000001Z", 0},
		{"?after=1", 0},
	} {
		var page readmodel.TaskChanges
		w.do("ana", "GET", "/api/ana/tasks/history"+c.query, "").decode(t, &page)
		if page.Data == nil || len(page.Data) != c.n || page.After != 1 {
			t.Errorf("history%s: %+v", c.query, page)
		}
	}
	for query, n := range map[string]int{"": 1, "?as_of=1": 1, "?as_of=0": 0} {
		var page readmodel.TaskPage
		w.do("ana", "GET", "/api/ana/tasks"+query, "").decode(t, &page)
		if page.Data == nil || len(page.Data) != n {
			t.Errorf("tasks%s: %+v", query, page)
		}
	}
	w.memory.setDown(true)
	if r := w.do("ana", "GET", "/api/ana/tasks/history", ""); r.status != 503 {
		t.Errorf("without Postgres: %d %s", r.status, r.body)
	}
}
