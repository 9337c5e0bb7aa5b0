package edge

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/parleychat/parley/events"
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

// recorded waits until the recorder has a conversation's commit n.
func (w *world) recorded(r events.Ref, n uint64) {
	w.t.Helper()
	for range 20 { // each waits a second at most
		w.do(string(r.User()), "GET", fmt.Sprintf("/api/%s/conversations/%s/messages?min_n=%d", r.User(), r.Conversation(), n), "")
		if s, err := w.memory.Summary(w.t.Context(), r); err == nil && s.N >= n {
			return
		}
	}
	w.t.Fatalf("commit %d was not recorded", n)
}

// The list is asked with a text, in pages, and each page leads to the next.
func TestListOfConversations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all []events.ConversationID // newest first
	for _, text := range []string{"a heron", "an osprey", "a heron & an osprey", "a heron again"} {
		c, _ := w.ask("ana", fmt.Sprintf(`{"message":%q}`, text))
		w.recorded(ref("ana", c.ConversationID), 2)
		all = append([]events.ConversationID{c.ConversationID}, all...)
	}
	w.ask("bob", `{"message":"a heron of bob's"}`)
	list := func(query string) (ids []events.ConversationID, page readmodel.Page[readmodel.Summary]) {
		t.Helper()
		r := w.do("ana", "GET", "/api/ana/conversations?"+query, "")
		if r.decode(t, &page); r.status != 200 {
			t.Fatalf("%s: %d %s", query, r.status, r.body)
		}
		for _, s := range page.Data {
			ids = append(ids, s.ConversationID)
		}
		return ids, page
	}
	for query, want := range map[string][]events.ConversationID{
		"": all, "limit=200": all, "q=": all,
		"q=heron":                         {all[0], all[1], all[3]},
		"q=heron+%26+an":                  {all[1]},
		"q=penguin":                       nil,
		"limit=2":                         all[:2],
		"q=heron&limit=1":                 all[:1],
		"after=" + string(all[1]):         all[2:],
		"q=heron&after=" + string(all[0]): {all[1], all[3]},
		"after=" + string(all[3]):         nil,
	} {
		if got, _ := list(query); !slices.Equal(got, want) {
			t.Errorf("%q lists %v, want %v of %v", query, got, want, all)
		}
	}
	var read []events.ConversationID
	for query := "q=heron&limit=1"; len(read) <= len(all); {
		ids, page := list(query)
		if read = append(read, ids...); !page.HasMore {
			break
		}
		query = "q=heron&limit=1&after=" + url.QueryEscape(page.After)
	}
	if want := []events.ConversationID{all[0], all[1], all[3]}; !slices.Equal(read, want) {
		t.Errorf("page by page %v, want %v", read, want)
	}
	for _, query := range []string{"limit=0", "limit=201", "limit=x", "after=nosuch", "q=%00", "q=%ff"} {
		if r := w.do("ana", "GET", "/api/ana/conversations?"+query, ""); r.status != 400 || r.code(t) != codeBadRequest {
			t.Errorf("%s: %d %s", query, r.status, r.body)
		}
	}
}

// [48] Archiving by either door takes a conversation from the list, and a message
// brings it back.
func TestArchiving(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, _ := w.ask("ana", `{"message":"one"}`)
	path := "/api/ana/conversations/" + string(c.ConversationID)
	listed := func(query string) int {
		t.Helper()
		var page readmodel.Page[readmodel.Summary]
		r := w.do("ana", "GET", "/api/ana/conversations"+query, "")
		if r.decode(t, &page); r.status != 200 {
			t.Fatalf("list: %d %s", r.status, r.body)
		}
		return len(page.Data)
	}
	recorded := func(n uint64) {
		t.Helper()
		w.recorded(ref("ana", c.ConversationID), n)
	}
	for _, archived := range []bool{true, false, true} {
		var s readmodel.Summary
		r := w.do("ana", "PATCH", path, fmt.Sprintf(`{"archived":%v}`, archived))
		if r.decode(t, &s); r.status != 200 || s.Archived != archived {
			t.Errorf("patch to %v: %d %s", archived, r.status, r.body)
		}
	}
	recorded(5)
	if in, out := listed("?archived=true"), listed(""); in != 1 || out != 0 {
		t.Errorf("%d archived and %d others in the lists, want 1 and 0", in, out)
	}
	w.ask("ana", fmt.Sprintf(`{"message":"two","conversation_id":%q}`, c.ConversationID))
	recorded(7)
	if in, out := listed("?archived=true"), listed("?archived=false"); in != 0 || out != 1 {
		t.Errorf("after a message %d archived and %d others, want 0 and 1", in, out)
	}
}
