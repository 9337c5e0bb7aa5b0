package edge

import (
	"net/url"
	"strings"
	"testing"

	"github.com/parleychat/parley/readmodel"
)

// [45] A hit names the run to open; nothing of somebody else is found.
func TestSearchTellsWhereSomethingWasSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, _ := w.ask("ana", `{"message":"the heron stood still"}`)
	w.ask("bob", `{"message":"the heron is bob's"}`)
	search := func(query string) (page readmodel.Page[readmodel.Found]) {
		t.Helper()
		r := w.do("ana", "GET", "/api/ana/search?"+query, "")
		if r.decode(t, &page); r.status != 200 {
			t.Fatalf("search %s: %d %s", query, r.status, r.body)
		}
		return page
	}
	for _, query := range []string{"q=heron", "q=heron&conversation_id=" + string(c.ConversationID), "q=heron&limit=50"} {
		page := search(query)
		if len(page.Data) != 1 || page.Data[0].ConversationID != c.ConversationID || page.Data[0].Hits[0].RunID != c.RunID ||
			page.Data[0].Hits[0].Excerpt[0].Text != "the heron stood still" {
			t.Errorf("search %s found %+v", query, page)
		}
	}
	for _, query := range []string{"q=osprey", "q=heron&conversation_id=unknown"} {
		if page := search(query); len(page.Data) != 0 || page.HasMore {
			t.Errorf("search %s found %+v", query, page)
		}
	}
}

// [45] What cannot be searched for is refused with a reason.
func TestSearchRefusesBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for query, want := range map[string]int{
		"": 400, "q=": 400, "q=%20%09": 400, "q=%00": 400, "q=%ff": 400, "q=" + strings.Repeat("x", 513): 400, "q=" + strings.Repeat("x", 512): 200,
		"q=x&limit=0": 400, "q=x&limit=51": 400, "q=x&limit=many": 400, "q=x&limit=50": 200, "q=x&after=nonsense": 400, "q=x&after=%00": 400,
		"q=x&conversation_id=a.b": 400, "q=x&conversation_id=%3E": 400, "q=x&conversation_id=" + strings.Repeat("c", 65): 400,
		"q=" + url.QueryEscape("' | !x & \\ :* <-> ("): 200, "q=%F0%9F%92%A9": 200,
	} {
		if r := w.do("ana", "GET", "/api/ana/search?"+query, ""); r.status != want {
			t.Errorf("search?%.40s: %d %s, want %d", query, r.status, r.body, want)
		} else if want == 400 && r.code(t) != codeBadRequest {
			t.Errorf("search?%.40s: code %s", query, r.code(t))
		}
	}
	if r := w.do("ana", "GET", "/api/bob/search?q=x", ""); r.status != 403 {
		t.Errorf("search in another person's: %d", r.status)
	}
	if r := w.do("", "GET", "/api/ana/search?q=x", ""); r.status != 401 {
		t.Errorf("search without a token: %d", r.status)
	}
	if r := w.do("ana", "POST", "/api/ana/search?q=x", "{}"); r.status != 405 {
		t.Errorf("posting a search: %d", r.status)
	}
	w.memory.setDown(true)
	if r := w.do("ana", "GET", "/api/ana/search?q=x", ""); r.status != 503 {
		t.Errorf("search while the database is away: %d", r.status)
	}
}
