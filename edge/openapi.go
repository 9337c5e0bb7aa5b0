package edge

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/parleychat/parley/auth"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/readmodel"
)

// An operation is one call as the OpenAPI document tells it. A test compares
// the list with the router and the answers with the schemas.
type operation struct {
	method  string
	path    string
	id      string
	summary string
	// open: no token is asked for.
	open  bool
	query []parameter
	// header are request headers beside Authorization.
	header []parameter
	body   reflect.Type
	// answers are the schemas of successful answers by status; nil: no body.
	answers map[int]reflect.Type
	// stream: the call also answers as server-sent events.
	stream bool
	// media are what the call answers with 200, if that is no JSON.
	media []string
	// errors are the statuses of refusals beside those that every call has.
	errors []int
}

type parameter struct {
	name, about string
	kind        string // of JSON Schema; default string
}

func operations() []operation {
	limit := parameter{"limit", "How many entries at most.", "integer"}
	after := parameter{"after", "The cursor from the page before.", ""}
	search := parameter{"q", "Only entries with these words.", ""}
	conversation := parameter{"conversation_id", "The run's conversation; with it the answer does not wait for the recorder.", ""}
	key := parameter{"Idempotency-Key", "The same key with the same body is carried out once.", ""}
	prefer := parameter{"Prefer", "respond-async: answer 202 as soon as the message is stored.", ""}
	lastID := parameter{"Last-Event-ID", "The id of the last event that the client has.", ""}
	summary := map[int]reflect.Type{200: typeOf[readmodel.Summary](), 202: nil}
	run := map[int]reflect.Type{200: typeOf[RunState](), 202: typeOf[Accepted]()}
	return []operation{
		{method: "GET", path: "/healthz", id: "health", summary: "Whether the process is worth keeping.", open: true, answers: map[int]reflect.Type{200: nil}, errors: []int{503}},
		{method: "GET", path: "/readyz", id: "readiness", summary: "Whether requests should come here, and what is missing.", open: true, answers: map[int]reflect.Type{200: typeOf[Readiness](), 503: typeOf[Readiness]()}},
		{method: "GET", path: "/openapi.json", id: "openapi", summary: "This document.", open: true, answers: map[int]reflect.Type{200: nil}},
		{method: "GET", path: "/.well-known/jwks.json", id: "jwks", summary: "The dev issuer's public key.", open: true, answers: map[int]reflect.Type{200: nil}, errors: []int{404}},
		{method: "GET", path: "/api/config", id: "config", summary: "What a client must know before it signs in.", open: true, answers: map[int]reflect.Type{200: typeOf[Config]()}},
		{method: "POST", path: "/api/dev/token", id: "devToken", summary: "A token for anybody, on a developer's machine only.", open: true, body: typeOf[devTokenRequest](), answers: map[int]reflect.Type{200: typeOf[auth.DevToken]()}, errors: []int{403, 404, 413, 415, 422}},
		{method: "GET", path: "/api/{user}/ws", id: "socket", summary: "The WebSocket, subprotocol " + subprotocol + ". First frame: connect {token}, unless Authorization is sent. Frames from clients: " + strings.Join(frameTypes, ", ") + ".", open: true, answers: map[int]reflect.Type{101: nil}, errors: []int{400, 401, 403, 404, 426, 503}},
		{
			method: "POST", path: "/api/{user}/chat", id: "chat", summary: "Say something and get the answer: at its end, as a stream, or later.",
			header: []parameter{key, prefer}, body: typeOf[ChatRequest](), stream: true,
			answers: map[int]reflect.Type{200: typeOf[ChatResponse](), 202: typeOf[Accepted]()}, errors: []int{404, 406, 409, 413, 415, 422, 429},
		},
		{method: "GET", path: "/api/{user}/conversations", id: "conversations", summary: "Conversations that are not archived, those that are pinned first, by newest activity; or those that match.", query: []parameter{search, {"archived", "Those that are archived instead.", "boolean"}, limit, after}, answers: map[int]reflect.Type{200: typeOf[readmodel.Page[readmodel.Summary]]()}},
		{method: "GET", path: "/api/{user}/conversations/{conversation}", id: "conversation", summary: "One conversation's line.", answers: map[int]reflect.Type{200: typeOf[readmodel.Summary]()}, errors: []int{404}},
		{method: "PATCH", path: "/api/{user}/conversations/{conversation}", id: "patchConversation", summary: "Rename, pin, archive, or mark as read.", header: []parameter{key}, body: typeOf[PatchRequest](), answers: summary, errors: []int{404, 413, 415, 422}},
		{method: "DELETE", path: "/api/{user}/conversations/{conversation}", id: "deleteConversation", summary: "Hide a conversation and stop its run.", answers: map[int]reflect.Type{204: nil, 202: nil}, errors: []int{404}},
		{method: "POST", path: "/api/{user}/conversations/{conversation}/restore", id: "restoreConversation", summary: "Undo a deletion.", answers: summary, errors: []int{404}},
		{
			method: "GET", path: "/api/{user}/conversations/{conversation}/messages", id: "messages", summary: "The state from which a client reads on: the newest runs of the current branch.",
			query:   []parameter{limit, {"before", "The runs before this one.", ""}, {"min_n", "Wait for this n, a second at most.", "integer"}},
			answers: map[int]reflect.Type{200: typeOf[events.Conversation]()}, errors: []int{404},
		},
		{
			method: "GET", path: "/api/{user}/conversations/{conversation}/events", id: "events", summary: "Commits after n, as a page or as a stream that goes on.",
			query: []parameter{{"after", "The n of the last commit that the client has.", "integer"}, limit}, header: []parameter{lastID}, stream: true,
			answers: map[int]reflect.Type{200: typeOf[EventsPage]()}, errors: []int{404, 406, 409},
		},
		{
			method: "GET", path: "/api/{user}/conversations/{conversation}/export", id: "export", summary: "All of a conversation as a file: its commits, one a line, or a text to read.",
			query:   []parameter{{"format", "jsonl (default) or markdown.", ""}, {"at", "As it was after this n.", "integer"}},
			answers: map[int]reflect.Type{200: nil}, media: []string{mediaJSONLines, mediaMarkdown}, errors: []int{404},
		},
		{
			method: "GET", path: "/api/{user}/search", id: "search", summary: "Where something was said: conversations by newest activity, each with its newest hits.",
			query: []parameter{
				{"q", "Words of a title, or of a message and its answer; each may be the beginning of one.", ""},
				limit, after,
				{"conversation_id", "Only this conversation, and more of its hits: as many as limit says.", ""},
			},
			answers: map[int]reflect.Type{200: typeOf[readmodel.Page[readmodel.Found]]()},
		},
		{method: "GET", path: "/api/{user}/runs/{run}", id: "run", summary: "How a run stands.", query: []parameter{conversation}, answers: map[int]reflect.Type{200: typeOf[RunState]()}, errors: []int{404}},
		{method: "POST", path: "/api/{user}/runs/{run}/cancel", id: "cancelRun", summary: "Stop a run; the answer says what it did.", query: []parameter{conversation}, answers: run, errors: []int{404}},
		{method: "GET", path: "/api/{user}/tasks", id: "tasks", summary: "The person's tasks.", query: []parameter{{"status", "all, open or completed.", ""}, {"as_of", "The tasks as they were after this task_rev.", "integer"}, search, limit, after}, answers: map[int]reflect.Type{200: typeOf[readmodel.TaskPage]()}},
		{
			method: "GET", path: "/api/{user}/tasks/history", id: "taskChanges", summary: "Who changed which task, oldest first.",
			query:   []parameter{{"since", "The changes from this time on.", ""}, {"after", "The changes after this task_rev.", "integer"}, limit},
			answers: map[int]reflect.Type{200: typeOf[readmodel.TaskChanges]()},
		},
		{method: "GET", path: "/api/{user}/tasks/{task}/history", id: "taskHistory", summary: "Who changed a task, newest first.", query: []parameter{limit, after}, answers: map[int]reflect.Type{200: typeOf[readmodel.Page[readmodel.TaskChange]]()}, errors: []int{404}},
		{method: "POST", path: "/api/{user}/tool_calls", id: "callTool", summary: "Call a tool by hand.", header: []parameter{key}, body: typeOf[ToolCallRequest](), answers: map[int]reflect.Type{200: typeOf[CallResult](), 202: nil}, errors: []int{409, 413, 415, 422}},
	}
}

type devTokenRequest struct {
	UserID events.UserID `json:"user_id"`
}

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// schemaNames are the names of the component schemas.
var schemaNames = map[reflect.Type]string{
	typeOf[readmodel.Page[readmodel.Summary]]():    "ConversationPage",
	typeOf[readmodel.Page[readmodel.TaskChange]](): "TaskHistoryPage",
	typeOf[readmodel.Page[readmodel.Found]]():      "SearchPage",
}

func schemaName(t reflect.Type) string {
	if name, ok := schemaNames[t]; ok {
		return name
	}
	name := t.Name()
	return strings.ToUpper(name[:1]) + name[1:]
}

func schemaOf(t reflect.Type) (*jsonschema.Schema, error) {
	s, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		typeOf[jsontext.Value](): {}, // any JSON
	}})
	if err != nil {
		return nil, err
	}
	loosen(s)
	return s, nil
}

// loosen allows members that are not named: they are only ever added.
func loosen(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if s.Properties != nil {
		s.AdditionalProperties = nil
	}
	loosen(s.Items)
	for _, p := range s.Properties {
		loosen(p)
	}
}

// openAPI writes the document.
func openAPI(version string) ([]byte, error) {
	schemas := map[string]any{}
	ref := func(t reflect.Type) (map[string]any, error) {
		name := schemaName(t)
		if _, ok := schemas[name]; !ok {
			s, err := schemaOf(t)
			if err != nil {
				return nil, fmt.Errorf("schema %s: %w", name, err)
			}
			schemas[name] = s
		}
		return map[string]any{"$ref": "#/components/schemas/" + name}, nil
	}
	if _, err := ref(typeOf[errorBody]()); err != nil {
		return nil, err
	}
	paths := map[string]map[string]any{}
	for _, o := range operations() {
		op, err := o.describe(ref)
		if err != nil {
			return nil, err
		}
		if paths[o.path] == nil {
			paths[o.path] = map[string]any{}
		}
		paths[o.path][strings.ToLower(o.method)] = op
	}
	return json.Marshal(map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "Parley", "version": version,
			"description": "A chat that acts. Every step of a conversation is a commit with a number n; readers resume after the n that they have.",
		},
		"paths": paths,
		"components": map[string]any{
			"schemas":         schemas,
			"securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
		},
	}, json.Deterministic(true), jsontext.WithIndent("  "))
}

func (o operation) describe(ref func(reflect.Type) (map[string]any, error)) (map[string]any, error) {
	op := map[string]any{"operationId": o.id, "summary": o.summary}
	var params []any
	for part := range strings.SplitSeq(o.path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			params = append(params, map[string]any{
				"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true,
				"schema": map[string]any{"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
			})
		}
	}
	for in, list := range map[string][]parameter{"query": o.query, "header": o.header} {
		for _, p := range list {
			kind := p.kind
			if kind == "" {
				kind = "string"
			}
			params = append(params, map[string]any{"name": p.name, "in": in, "description": p.about, "schema": map[string]any{"type": kind}})
		}
	}
	if params != nil {
		op["parameters"] = params
	}
	if !o.open {
		op["security"] = []any{map[string]any{"token": []any{}}}
	}
	if o.body != nil {
		s, err := ref(o.body)
		if err != nil {
			return nil, err
		}
		op["requestBody"] = map[string]any{"required": true, "content": map[string]any{"application/json": map[string]any{"schema": s}}}
	}
	answers := map[string]any{}
	for status, t := range o.answers {
		a := map[string]any{"description": http.StatusText(status)}
		content := map[string]any{}
		if t != nil {
			s, err := ref(t)
			if err != nil {
				return nil, err
			}
			content["application/json"] = map[string]any{"schema": s}
		}
		if o.stream && status == http.StatusOK {
			content["text/event-stream"] = map[string]any{"schema": map[string]any{"type": "string"}}
		}
		if status == http.StatusOK {
			for _, m := range o.media {
				content[m] = map[string]any{"schema": map[string]any{"type": "string"}}
			}
		}
		if len(content) > 0 {
			a["content"] = content
		}
		answers[strconv.Itoa(status)] = a
	}
	for _, status := range o.refusals() {
		if _, ok := answers[strconv.Itoa(status)]; !ok {
			answers[strconv.Itoa(status)] = map[string]any{
				"description": http.StatusText(status),
				"content":     map[string]any{"application/json": map[string]any{"schema": map[string]any{"$ref": "#/components/schemas/ErrorBody"}}},
			}
		}
	}
	op["responses"] = answers
	return op, nil
}

// refusals are the statuses of errors that the call can answer with.
func (o operation) refusals() []int {
	set := map[int]bool{}
	if strings.HasPrefix(o.path, "/api/") {
		set[403], set[503] = true, true
		if o.method != http.MethodGet {
			set[504] = true // what was stored or not, nobody can say
		}
		if !o.open {
			set[400], set[401] = true, true
		}
	}
	for _, status := range o.errors {
		set[status] = true
	}
	return slices.Sorted(maps.Keys(set))
}
