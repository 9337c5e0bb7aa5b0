package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parleychat/parley/events"
)

// Ways in which a message can be sent.
const (
	waySocket = iota
	wayJSON
	wayStream
	wayAsync
	ways
)

// An outgoing message.
type outgoing struct {
	id       string
	conv     events.ConversationID
	text     string
	parent   events.RunID
	model    string
	timezone string
	// busy is what becomes of the answer that is being written.
	busy string
}

// send sends a message once and says what is known of it afterwards.
func (p *person) send(ctx context.Context, m outgoing, way int) try {
	if way == waySocket {
		f := map[string]any{"type": "message", "id": m.id, "message": m.text}
		addTo(f, m)
		return p.frame(ctx, f)
	}
	body := map[string]any{"id": m.id, "message": m.text}
	addTo(body, m)
	return p.post(ctx, http.MethodPost, "/chat", body, [...]string{wayJSON: "json", wayStream: "stream", wayAsync: "async"}[way])
}

func addTo(f map[string]any, m outgoing) {
	if m.conv != "" {
		f["conversation_id"] = m.conv
	}
	if m.parent != "" {
		f["parent_id"] = m.parent
	}
	if m.model != "" {
		f["model"] = m.model
	}
	if m.busy != "" {
		f["when_busy"] = m.busy
	}
	if m.timezone != "" {
		f["timezone"] = m.timezone
	}
}

// frame sends a command by one of the person's sockets.
func (p *person) frame(ctx context.Context, f map[string]any) try {
	t := try{Begun: time.Now(), Via: "socket", Verdict: unknown}
	answer, edge, err := p.devices[0].command(ctx, f)
	t.Ended, t.Edge = time.Now(), edge
	switch {
	case errors.Is(err, errNotSent):
		t.Verdict, t.Code = refused, "not_sent"
		// Nothing was sent: wait for the socket, as a page does.
		pause(ctx, 200*time.Millisecond)
	case err != nil:
	case answer.Type == "error":
		t.Code = answer.Code
		t.Verdict = verdictOf(0, answer.Code)
	default:
		t.Verdict = accepted
	}
	return t
}

// verdictOf says what a refusal means for the request: "outcome_unknown" says so
// itself, and of a failure nothing is known. All else is a promise that nothing was
// stored, a 503 too (ADR 12).
func verdictOf(status int, code string) string {
	switch {
	case code == "outcome_unknown", code == "internal", status == http.StatusBadGateway, status == http.StatusGatewayTimeout:
		return unknown
	}
	return refused
}

// post makes one HTTP request, at any edge.
func (p *person) post(ctx context.Context, method, path string, body any, how string) try {
	return p.postAs(ctx, p.id, method, path, body, how)
}

// postAs is post at another person's address.
func (p *person) postAs(ctx context.Context, address events.UserID, method, path string, body any, how string) try {
	t := try{Begun: time.Now(), Via: how, Verdict: unknown}
	limit := 20 * time.Second
	if how == "json" || how == "stream" {
		limit = 6 * time.Second // the run may take longer; the client is then told nothing more
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	// From time to time the client goes away in the middle.
	if hash := mix(uint64(t.Begun.UnixNano()), path); hash%5 == 0 {
		stop := time.AfterFunc(time.Duration(hash>>8%1500)*time.Millisecond, cancel)
		defer stop.Stop()
	}
	t.Edge = int(mix(uint64(t.Begun.UnixNano()), "edge") % uint64(p.w.edgeCount()))
	p.request(ctx, address, method, path, body, how, &t)
	t.Ended = time.Now()
	return t
}

func (p *person) request(ctx context.Context, address events.UserID, method, path string, body any, how string, t *try) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Verdict = refused
			return
		}
		r = bytes.NewReader(b)
	}
	token, err := p.w.token(p.id)
	if err != nil {
		t.Verdict = refused
		return
	}
	req, err := http.NewRequestWithContext(ctx, method, p.w.edgeURL(t.Edge)+"/api/"+string(address)+path, r)
	if err != nil {
		t.Verdict = refused
		return
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	switch how {
	case "stream":
		req.Header.Set("Accept", "text/event-stream")
	case "async":
		req.Header.Set("Prefer", "respond-async")
	}
	res, err := p.w.client.Do(req)
	if err != nil {
		return
	}
	defer res.Body.Close()
	t.Status = res.StatusCode
	if res.StatusCode == http.StatusOK && how == "stream" {
		p.readStream(res.Body, t)
		return
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	p.look(string(b))
	switch {
	case res.StatusCode < 300:
		t.Verdict = accepted
		if err == nil && res.StatusCode == http.StatusOK && (how == "json" || how == "cancel") {
			t.Answer = readAnswer(b)
		}
	default:
		var refusal struct {
			Error struct {
				Code string `json:"code"`
			} `json:"error"`
		}
		_ = json.Unmarshal(b, &refusal) // without a code it is the status that counts
		t.Code = refusal.Error.Code
		t.Verdict = verdictOf(res.StatusCode, t.Code)
	}
}

// readStream reads server-sent events to their end or break. Being told
// "accepted" is what counts; the devices look after the text.
func (p *person) readStream(r io.Reader, t *try) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), 4<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		p.look(data)
		var f serverFrame
		if json.Unmarshal([]byte(data), &f) != nil {
			continue
		}
		if f.Type == "accepted" {
			t.Verdict = accepted
		}
		if f.Type == "error" && t.Verdict == unknown {
			t.Code = f.Code
			t.Verdict = verdictOf(0, f.Code)
		}
	}
}

func readAnswer(b []byte) *answered {
	var r struct {
		ConversationID events.ConversationID `json:"conversation_id"`
		RunID          events.RunID          `json:"run_id"`
		Status         events.Status         `json:"status"`
		Response       string                `json:"response"`
		ToolCalls      []struct {
			CallID events.CallID `json:"call_id"`
			Status string        `json:"status"`
		} `json:"tool_calls"`
		Receipt *events.Receipt `json:"receipt"`
		EndedN  uint64          `json:"ended_n"`
	}
	if json.Unmarshal(b, &r) != nil || r.RunID == "" {
		return nil
	}
	a := &answered{r.ConversationID, r.RunID, r.Status, r.Response, map[events.CallID]string{}, r.Receipt, r.EndedN}
	for _, c := range r.ToolCalls {
		a.Calls[c.CallID] = c.Status
	}
	return a
}
