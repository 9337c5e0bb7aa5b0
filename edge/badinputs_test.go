package edge

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
)

// A badCase is one case of testdata/bad_inputs.json: what a stranger sends and
// what a good server does. Some are controls that must be accepted.
type badCase struct {
	ID          string            `json:"id"`
	Transport   string            `json:"transport"`
	Method      string            `json:"method"`
	Path        *string           `json:"path"`
	PathGen     any               `json:"path_gen"`
	Headers     map[string]any    `json:"headers"`
	SetHeaders  map[string]string `json:"set_headers"`
	DropHeaders []string          `json:"drop_headers"`
	Override    string            `json:"method_override"`
	Body        string            `json:"body"`
	BodyB64     string            `json:"body_b64"`
	BodyGen     any               `json:"body_gen"`
	Raw         *string           `json:"raw"`
	Pace        *struct{}         `json:"pace"`
	Parallel    int               `json:"parallel"`
	ConnCount   int               `json:"conn_count"`
	Reconnect   int               `json:"reconnect"`
	Setup       []badSetup        `json:"setup"`
	Auth        any               `json:"auth"`
	Frames      []badFrame        `json:"frames"`
	AutoPong    *bool             `json:"auto_pong"`
	WaitS       int               `json:"wait_s"`
	Expect      badExpect         `json:"expect"`
}

type badSetup struct {
	Body string `json:"body"`
}

type badFrame struct {
	Op        any     `json:"op"`
	Text      *string `json:"text"`
	JSON      any     `json:"json"`
	B64       string  `json:"b64"`
	Gen       any     `json:"gen"`
	RawB64    string  `json:"raw_b64"`
	Fin       *bool   `json:"fin"`
	RSV       byte    `json:"rsv"`
	Repeat    int     `json:"repeat"`
	Fragments *struct {
		Text  string `json:"text"`
		Count int    `json:"count"`
	} `json:"fragments"`
}

type badExpect struct {
	StatusIn        []int               `json:"status_in"`
	JSONError       bool                `json:"must_be_json_error"`
	MustNot5xx      bool                `json:"must_not_5xx"`
	Verdict         string              `json:"verdict"`
	MayClose        bool                `json:"may_close"`
	MaxS            int                 `json:"max_s"`
	ResponsesMax    int                 `json:"responses_max"`
	Stream          bool                `json:"stream"`
	HeaderPresent   []string            `json:"header_present"`
	HeaderEquals    map[string]string   `json:"header_equals"`
	HeaderContains  map[string]string   `json:"header_contains"`
	HeaderAbsentNot map[string][]string `json:"header_absent_or_not"`
	CloseIn         []int               `json:"close_in"`
	OrErrorFrame    bool                `json:"or_error_frame"`
	Pong            bool                `json:"pong"`
	Repeat          int                 `json:"repeat"`
	SameAnswer      bool                `json:"same_answer"`
	RoundTrip       bool                `json:"round_trip"`
	EffectsMax      *int                `json:"effects_max"`
	NoCrossUser     bool                `json:"no_cross_user"`
}

// elsewhere says why a case is not replayed here. A case that is not listed
// must be replayed.
var elsewhere = map[string]string{
	"ws-no-pong":      "takes longer than a minute; see TestSilentPeerIsDropped",
	"ws-auth-expired": "needs an issuer that signs the past; TestSocketMustConnect has it",
}

func loadBadInputs(t *testing.T, transport string) []badCase {
	t.Helper()
	b, err := os.ReadFile("testdata/bad_inputs.json")
	if err != nil {
		t.Fatal(err)
	}
	var raw []jsontext.Value
	if err := json.Unmarshal(b, &raw); err != nil {
		t.Fatal(err)
	}
	var list []badCase
	for _, v := range raw {
		var head struct {
			Transport string `json:"transport"`
		}
		if err := json.Unmarshal(v, &head); err != nil {
			t.Fatal(err)
		}
		if head.Transport != transport {
			continue
		}
		var c badCase
		if err := json.Unmarshal(v, &c); err != nil {
			t.Fatalf("%s: %v", v, err)
		}
		list = append(list, c)
	}
	return list
}

// A replay is a world with the placeholders' values.
type replay struct {
	*world
	values map[string]string
	other  ChatResponse
}

const bystander = "bystander-8c41"

func newReplay(t *testing.T) *replay {
	t.Helper()
	w := newWorld(t)
	mine, _ := w.ask("ana", `{"message":"mine"}`)
	theirs, _ := w.ask(bystander, `{"message":"canary-of-the-bystander"}`)
	host := strings.TrimPrefix(w.url, "http://")
	return &replay{world: w, other: theirs, values: map[string]string{
		"user_id": "ana", "token": w.token("ana"), "conversation_id": string(mine.ConversationID), "user_id_percent": "%61%6e%61",
		"other_user_id": bystander, "other_token": w.token(bystander), "other_conversation_id": string(theirs.ConversationID), "other_row_id": "1",
		"host": host, "path_chat": "/api/ana/chat", "origin": testOrigin, "origin_scheme": "http", "origin_hostname": "localhost",
		"origin_host": "localhost:5173", "origin_port_suffix": ":5173", "origin_scheme_other": "https", "nonce": newID(),
	}}
}

func (p *replay) fill(s string) string {
	for name, value := range p.values {
		s = strings.ReplaceAll(s, "{"+name+"}", value)
	}
	return s
}

// generate makes the value of a generator, or of a string.
func (p *replay) generate(v any) string {
	p.t.Helper()
	switch v := v.(type) {
	case string:
		return p.fill(v)
	case map[string]any:
		for name, arg := range v {
			switch name {
			case "repeat":
				list := arg.([]any)
				n := events.MaxMessageRunes
				if f, ok := list[1].(float64); ok {
					n = int(f)
				}
				return strings.Repeat(p.generate(list[0]), n)
			case "nest":
				list := arg.([]any)
				n := int(list[2].(float64))
				return strings.Repeat(list[0].(string), n) + strings.Repeat(list[1].(string), n)
			case "seq":
				list := arg.([]any)
				var parts []string
				for i := range int(list[1].(float64)) {
					parts = append(parts, strings.ReplaceAll(list[0].(string), "{i}", strconv.Itoa(i)))
				}
				return strings.Join(parts, list[2].(string))
			case "template":
				return strings.Replace(p.fill(arg.(string)), "{0}", p.generate(v["args"].([]any)[0]), 1)
			case "args":
				continue
			case "literal":
				return arg.(string)
			case "gzip":
				var b bytes.Buffer
				z := gzip.NewWriter(&b)
				_, _ = io.WriteString(z, p.generate(arg))
				_ = z.Close()
				return b.String()
			case "deflate_raw":
				var b bytes.Buffer
				z := must(flate.NewWriter(&b, flate.BestSpeed))
				_, _ = io.WriteString(z, p.generate(arg))
				_ = z.Flush()
				return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
			}
		}
	}
	p.t.Fatalf("unknown generator %v", v)
	return ""
}

// head returns the header lines of a case.
func (p *replay) head(c badCase) [][2]string {
	var list [][2]string
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		switch v := c.Headers[name].(type) {
		case []any:
			for _, one := range v {
				list = append(list, [2]string{name, p.generate(one)})
			}
		default:
			list = append(list, [2]string{name, p.generate(v)})
		}
	}
	return list
}

func (p *replay) path(c badCase) string {
	if c.Path != nil {
		return p.fill(*c.Path)
	}
	return p.generate(c.PathGen)
}

func (p *replay) body(c badCase) string {
	switch {
	case c.BodyGen != nil:
		return p.generate(c.BodyGen)
	case c.BodyB64 != "":
		return string(must(base64.StdEncoding.DecodeString(c.BodyB64)))
	}
	return p.fill(c.Body)
}

// wire returns the bytes of a case's request.
func (p *replay) wire(c badCase, body string) string {
	if c.Raw != nil {
		return p.fill(*c.Raw)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", c.Method, p.path(c), p.values["host"])
	for _, h := range p.head(c) {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	if body != "" || c.Method == "POST" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	return b.String() + "\r\n" + body
}

// exchange writes bytes and reads the first answer; nil if the server closed
// without one. answers counts all that came.
func (p *replay) exchange(c badCase, wire string) (first *reply, answers int) {
	p.t.Helper()
	conn := must(net.Dial("tcp", p.values["host"]))
	defer conn.Close()
	wait := 20 * time.Second
	if c.Expect.MaxS > 0 {
		wait = time.Duration(c.Expect.MaxS) * time.Second
	}
	_ = conn.SetDeadline(time.Now().Add(wait))
	if _, err := io.WriteString(conn, wire); err != nil && !c.Expect.MayClose {
		p.t.Logf("write: %v", err) // the answer may be there already
	}
	if c.Pace != nil {
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					if _, err := io.WriteString(conn, " "); err != nil {
						return
					}
				}
			}
		}()
	}
	in := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(in, &http.Request{Method: c.Method})
		if err != nil {
			return first, answers
		}
		if c.Expect.Stream {
			return &reply{status: res.StatusCode, header: res.Header}, 1
		}
		b, err := io.ReadAll(res.Body)
		if err != nil && !c.Expect.MayClose {
			p.t.Errorf("body: %v", err)
		}
		if answers++; first == nil {
			first = &reply{res.StatusCode, res.Header, b}
			// A second answer would follow at once.
			_ = conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
		}
		if res.Close || c.Expect.ResponsesMax == 0 {
			return first, answers
		}
	}
}

// accepted counts the person's messages.
func (p *replay) accepted(user string) int {
	n := 0
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	for r, c := range p.memory.convs {
		if string(r.User()) == user {
			n += len(c.Runs)
		}
	}
	return n
}

func TestBadInputsHTTP(t *testing.T) {
	t.Parallel()
	p := newReplay(t)
	var late sync.WaitGroup
	for _, c := range loadBadInputs(t, "http") {
		if why, ok := elsewhere[c.ID]; ok {
			t.Logf("%s: %s", c.ID, why)
			continue
		}
		if c.Pace != nil || c.ConnCount > 0 { // waits for timeouts, while the others run
			late.Go(func() { p.httpCase(t, c) })
			continue
		}
		t.Run(c.ID, func(t *testing.T) { p.httpCase(t, c) })
	}
	late.Wait()
	p.ask("ana", `{"message":"still there"}`)
	if n := p.accepted(bystander); n != 1 {
		t.Errorf("the bystander has %d messages", n)
	}
	if strings.Contains(p.logs.String(), "canary-of-the-bystander") || strings.Contains(p.logs.String(), "eyJ") {
		t.Error("the log repeats a message or a token")
	}
}

func (p *replay) httpCase(t *testing.T, c badCase) {
	t.Helper()
	nonce := newID()
	fill := func(s string) string { return strings.ReplaceAll(s, "{nonce}", nonce) }
	body := p.body(c)
	wire := fill(p.wire(c, body))
	before := p.accepted("ana")
	for _, s := range c.Setup {
		if r, _ := p.exchange(c, fill(p.wire(c, s.Body))); r == nil || r.status != 200 {
			t.Fatalf("%s: set-up: %+v", c.ID, r)
		}
	}
	if c.ConnCount > 0 {
		p.idleConns(t, c)
		return
	}
	copies := max(1, c.Parallel)
	replies := make([]*reply, copies)
	var wg sync.WaitGroup
	for i := range copies {
		wg.Go(func() {
			var answers int
			replies[i], answers = p.exchange(c, wire)
			if c.Expect.ResponsesMax > 0 && answers > c.Expect.ResponsesMax {
				t.Errorf("%s: %d answers", c.ID, answers)
			}
		})
	}
	wg.Wait()
	for _, r := range replies {
		p.judge(t, c, r)
	}
	for range c.Expect.Repeat - 1 {
		r, _ := p.exchange(c, wire)
		p.judge(t, c, r)
		if c.Expect.SameAnswer && string(r.body) != string(replies[0].body) {
			t.Errorf("%s: repeated: %s, first %s", c.ID, r.body, replies[0].body)
		}
	}
	if m := c.Expect.EffectsMax; m != nil && p.accepted("ana")-before > *m {
		t.Errorf("%s: %d messages were accepted", c.ID, p.accepted("ana")-before)
	}
	if r := replies[0]; c.Expect.RoundTrip && r != nil && r.status == 200 {
		p.roundTrip(t, c, body, r)
	}
}

func (p *replay) judge(t *testing.T, c badCase, r *reply) {
	t.Helper()
	e := c.Expect
	if r == nil {
		if !e.MayClose && len(e.StatusIn) > 0 {
			t.Errorf("%s: no answer", c.ID)
		}
		return
	}
	if len(e.StatusIn) > 0 && !slices.Contains(e.StatusIn, r.status) || e.MustNot5xx && r.status >= 500 {
		t.Errorf("%s: status %d, wanted %v: %.200s", c.ID, r.status, e.StatusIn, r.body)
	}
	if e.JSONError && r.status >= 400 {
		if code := r.code(t); code == "" {
			t.Errorf("%s: no code", c.ID)
		}
	}
	for _, name := range e.HeaderPresent {
		if r.header.Get(name) == "" && (name != "Allow" || r.status == 405) {
			t.Errorf("%s: no %s", c.ID, name)
		}
	}
	for name, want := range e.HeaderEquals {
		if got := r.header.Get(name); got != p.fill(want) {
			t.Errorf("%s: %s is %q", c.ID, name, got)
		}
	}
	for name, want := range e.HeaderContains {
		if got := strings.Join(r.header.Values(name), ", "); !strings.Contains(got, p.fill(want)) {
			t.Errorf("%s: %s is %q", c.ID, name, got)
		}
	}
	for name, never := range e.HeaderAbsentNot {
		for _, v := range never {
			if got := r.header.Values(name); slices.Contains(got, strings.ReplaceAll(p.fill(v), "{request_origin}", p.origin(c))) {
				t.Errorf("%s: %s is %q", c.ID, name, got)
			}
		}
	}
	if bytes.Contains(r.body, []byte("canary-of-the-bystander")) {
		t.Errorf("%s: something of the bystander: %s", c.ID, r.body)
	}
	for _, secret := range []string{"goroutine", ".go:", "SQLSTATE", "panic", "/root/"} {
		if r.status >= 400 && bytes.Contains(r.body, []byte(secret)) {
			t.Errorf("%s: the error tells %q: %s", c.ID, secret, r.body)
		}
	}
}

func (p *replay) origin(c badCase) string {
	s, _ := c.Headers["Origin"].(string)
	return p.fill(s)
}

// roundTrip reads the message back: it must be what was sent, byte for byte.
func (p *replay) roundTrip(t *testing.T, c badCase, body string, r *reply) {
	t.Helper()
	var sent ChatRequest
	if err := json.Unmarshal([]byte(body), &sent); err != nil {
		t.Fatal(err)
	}
	var answer ChatResponse
	r.decode(t, &answer)
	got := p.do("ana", "GET", "/api/ana/conversations/"+string(answer.ConversationID)+"/messages?min_n=2", "")
	var base events.Conversation
	if got.decode(t, &base); base.Runs[0].Message.Text != *sent.Message {
		t.Errorf("%s: sent %q, read %q", c.ID, *sent.Message, base.Runs[0].Message.Text)
	}
}

// idleConns opens connections that say nothing: others must be answered, and in
// the end all are closed.
func (p *replay) idleConns(t *testing.T, c badCase) {
	t.Helper()
	conns := make([]net.Conn, c.ConnCount)
	for i := range conns {
		conns[i] = must(net.Dial("tcp", p.values["host"]))
	}
	start := time.Now()
	if _, r := p.ask("ana", `{"message":"control"}`); r.status != 200 || time.Since(start) > 2*time.Second {
		t.Errorf("%s: control request: %d after %v", c.ID, r.status, time.Since(start))
	}
	for _, conn := range conns {
		_ = conn.SetReadDeadline(time.Now().Add(time.Duration(c.Expect.MaxS) * time.Second))
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Errorf("%s: not closed: %v", c.ID, err)
		}
		_ = conn.Close()
	}
}
