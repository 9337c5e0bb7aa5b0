package edge

import (
	"net/http"
	"slices"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
)

func TestOpenAPIMatchesRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var listed, routed []string
	for _, o := range operations() {
		listed = append(listed, o.method+" "+o.path)
	}
	err := chi.Walk(w.edge.router, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if method != http.MethodHead && route != "/" && route != "/assets/*" {
			routed = append(routed, method+" "+route)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(listed)
	slices.Sort(routed)
	if d := cmp.Diff(routed, listed); d != "" {
		t.Errorf("the router and the document differ:\n%s", d)
	}
	r := w.do("", "GET", "/openapi.json", "")
	var doc struct {
		OpenAPI    string                    `json:"openapi"`
		Paths      map[string]map[string]any `json:"paths"`
		Components struct {
			Schemas map[string]*jsonschema.Schema `json:"schemas"`
		} `json:"components"`
	}
	r.decode(t, &doc)
	if doc.OpenAPI != "3.1.0" || len(doc.Paths) != 21 {
		t.Errorf("%d paths, version %q", len(doc.Paths), doc.OpenAPI)
	}
	// What the calls answer fits the schemas.
	c, chat := w.ask("ana", `{"message":"tool x"}`)
	for name, body := range map[string][]byte{
		"ChatResponse":     chat.body,
		"ErrorBody":        w.do("", "POST", "/api/ana/chat", `{"message":"x"}`).body,
		"Summary":          w.do("ana", "PATCH", "/api/ana/conversations/"+string(c.ConversationID), `{"pinned":true}`).body,
		"ConversationPage": w.do("ana", "GET", "/api/ana/conversations", "").body,
		"SearchPage":       w.do("ana", "GET", "/api/ana/search?q=tool", "").body,
		"Conversation":     w.do("ana", "GET", "/api/ana/conversations/"+string(c.ConversationID)+"/messages", "").body,
		"EventsPage":       w.do("ana", "GET", "/api/ana/conversations/"+string(c.ConversationID)+"/events", "").body,
		"RunState":         w.do("ana", "GET", "/api/ana/runs/"+string(c.RunID), "").body,
		"TaskPage":         w.do("ana", "GET", "/api/ana/tasks", "").body,
		"TaskHistoryPage":  w.do("ana", "GET", "/api/ana/tasks/1/history", "").body,
		"TaskChanges":      w.do("ana", "GET", "/api/ana/tasks/history?since=2026-01-05T10:00:00Z", "").body,
		"CallResult":       w.do("ana", "POST", "/api/ana/tool_calls", `{"name":"add_task"}`).body,
		"Config":           w.do("", "GET", "/api/config", "").body,
		"Readiness":        w.do("", "GET", "/readyz", "").body,
		"DevToken":         w.do("", "POST", "/api/dev/token", `{"user_id":"ana"}`).body,
		"ChatRequest":      []byte(`{"message":"x"}`),
		"PatchRequest":     []byte(`{"title":"x"}`),
	} {
		schema := doc.Components.Schemas[name]
		if schema == nil {
			t.Errorf("no schema %s", name)
			continue
		}
		resolved, err := schema.Resolve(nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var v any
		if err := json.Unmarshal(body, &v); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if err := resolved.Validate(v); err != nil {
			t.Errorf("%s: %s: %v", name, body, err)
		}
	}
}
