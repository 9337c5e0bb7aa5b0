package auth

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// badCase is a case of testdata/bad_inputs.json: what strangers send, and what a
// good server does with it. Of the whole collection these are the cases on tokens,
// Authorization headers and origins; here they meet the package, and at the edge
// the running server.
type badCase struct {
	ID        string
	Category  string
	Transport string
	Headers   map[string]json.RawMessage
	Raw       string
	Token     *badToken
	Expect    struct {
		StatusIn      []int    `json:"status_in"`
		Verdict       string   `json:"verdict"`
		HeaderPresent []string `json:"header_present"`
		NoCrossUser   bool     `json:"no_cross_user"`
	}
}

type badToken struct {
	Sign       string
	Header     map[string]json.RawMessage
	Claims     map[string]json.RawMessage
	PayloadTpl *string         `json:"payload_tpl"`
	PayloadB64 *string         `json:"payload_b64"`
	PayloadGen json.RawMessage `json:"payload_gen"`
	Mutate     string
	Setup      string
}

const (
	replayUser      = "alice-1"
	replayOtherUser = "bob-2"
	replayOrigin    = "http://localhost:5173"
)

func loadBadInputs(t *testing.T) []badCase {
	t.Helper()
	b, err := os.ReadFile("testdata/bad_inputs.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []badCase
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// TestBadInputs replays every case; one that it does not understand is a failure.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	ran := map[string]int{}
	for _, c := range loadBadInputs(t) {
		kind := c.Transport + " " + c.Category
		switch kind {
		case "jwt jwt", "http auth":
			ran["token"]++
		case "http origin", "ws origin", "http control":
			ran["origin"]++
		default:
			t.Errorf("%s: no replay for %s", c.ID, kind)
			continue
		}
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			if strings.HasSuffix(kind, "origin") || c.Category == "control" {
				replayOriginCase(t, c)
				return
			}
			synctest.Test(t, func(t *testing.T) { replayTokenCase(t, c) })
		})
	}
	if ran["token"] < 50 || ran["origin"] < 22 {
		t.Errorf("too few cases: %v", ran)
	}
}

func replayTokenCase(t *testing.T, c badCase) {
	t.Helper()
	r := &replay{t: t, issuer: newTestIssuer(t), rogue: makeKey("rogue")}
	r.rogue.kid = r.issuer.current().kid
	v := r.issuer.verifier()
	// The server is in use: the keys of the day are known before the case comes.
	if _, err := v.Verify(t.Context(), r.issuer.token(nil)); err != nil {
		t.Fatal(err)
	}
	token := r.issuer.token(map[string]any{"sub": replayUser})
	if c.Token != nil {
		token = r.make(*c.Token)
	}
	r.token = token
	r.otherToken = r.issuer.token(map[string]any{"sub": replayOtherUser})

	bearer, err := BearerToken(r.header(c))
	var id Identity
	if err == nil {
		id, err = v.Verify(t.Context(), bearer)
	}
	if c.Token != nil {
		// A token in a WebSocket's first message never was in a header.
		direct, directErr := v.Verify(t.Context(), token)
		if (directErr == nil) != (err == nil) || direct != id {
			t.Errorf("Verify alone says %v, %v; by the header %v, %v", direct, directErr, id, err)
		}
	}

	switch c.Expect.Verdict {
	case "accept":
		if err != nil {
			t.Fatal(err)
		}
	case "reject":
		if err == nil {
			t.Fatalf("accepted as %+v", id)
		}
	case "either":
	default:
		t.Fatalf("verdict %q", c.Expect.Verdict)
	}
	if err == nil {
		if id.UserID != replayUser {
			t.Errorf("taken for %q", id.UserID)
		}
		return
	}
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok || !errors.Is(err, ErrUnauthenticated) {
		t.Fatalf("error is %v", err)
	}
	if !slices.Contains(c.Expect.StatusIn, refusal.Status) {
		t.Errorf("status %d, want one of %v", refusal.Status, c.Expect.StatusIn)
	}
	if slices.Contains(c.Expect.HeaderPresent, "WWW-Authenticate") && !strings.HasPrefix(Challenge(err), "Bearer ") {
		t.Errorf("challenge %q", Challenge(err))
	}
}

func replayOriginCase(t *testing.T, c badCase) {
	t.Helper()
	origins, err := NewOrigins(OriginsOptions{Entries: []string{replayOrigin}, LoopbackHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	r := &replay{t: t}
	origin, ok := origins.Allowed(&http.Request{Header: r.header(c)})
	if ok != (c.Expect.Verdict == "accept") {
		t.Errorf("allowed: %v, want verdict %s", ok, c.Expect.Verdict)
	}
	if _, sent := c.Headers["Origin"]; ok && sent != (origin == replayOrigin) || !ok && origin != "" {
		t.Errorf("origin to echo is %q", origin)
	}
}

// replay makes the tokens and headers that the cases describe.
type replay struct {
	t                 *testing.T
	issuer            *testIssuer
	rogue             testKey
	token, otherToken string
}

// fill replaces the placeholders of the cases.
func (r *replay) fill(s string) string {
	return strings.NewReplacer(
		"{user_id}", replayUser, "{other_user_id}", replayOtherUser,
		"{token}", r.token, "{other_token}", r.otherToken,
		"{iss}", testIss, "{aud}", testAud, "{exp_soon}", strconv.FormatInt(time.Now().Unix()+600, 10),
		"{origin}", replayOrigin, "{origin_scheme}", "http", "{origin_hostname}", "localhost",
		"{origin_host}", "localhost:5173", "{origin_port_suffix}", ":5173", "{origin_scheme_other}", "https",
		"{host}", "localhost:7420", "{path_chat}", "/api/"+replayUser+"/chat", "{trap_port}", "9",
	).Replace(s)
}

func (r *replay) header(c badCase) http.Header {
	r.t.Helper()
	if c.Raw != "" {
		req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(r.fill(c.Raw))))
		if err != nil {
			r.t.Fatal(err)
		}
		return req.Header
	}
	h := http.Header{}
	for name, raw := range c.Headers {
		var several []json.RawMessage
		if json.Unmarshal(raw, &several) != nil {
			several = []json.RawMessage{raw}
		}
		for _, v := range several {
			h.Add(name, r.text(v))
		}
	}
	return h
}

// text evaluates a string or a generator of one.
func (r *replay) text(raw json.RawMessage) string {
	r.t.Helper()
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return r.fill(s)
	}
	var g struct {
		Repeat, Nest, Args []json.RawMessage
		Template           string
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&g); err != nil {
		r.t.Fatalf("generator %s: %v", raw, err)
	}
	number := func(raw json.RawMessage) (n int) {
		if err := json.Unmarshal(raw, &n); err != nil {
			r.t.Fatal(err)
		}
		return n
	}
	switch {
	case g.Repeat != nil:
		return strings.Repeat(r.text(g.Repeat[0]), number(g.Repeat[1]))
	case g.Nest != nil:
		n := number(g.Nest[2])
		return strings.Repeat(r.text(g.Nest[0]), n) + strings.Repeat(r.text(g.Nest[1]), n)
	default:
		out := r.fill(g.Template)
		for i, a := range g.Args {
			out = strings.ReplaceAll(out, "{"+strconv.Itoa(i)+"}", r.text(a))
		}
		return out
	}
}

// value evaluates a claim or header: "+600" is a time, an object with a generator's
// name a text, null a removal, everything else itself.
func (r *replay) value(raw json.RawMessage) any {
	r.t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		r.t.Fatal(err)
	}
	switch x := v.(type) {
	case string:
		if n, err := strconv.Atoi(x); err == nil && (x[0] == '+' || x[0] == '-') {
			return time.Now().Unix() + int64(n)
		}
		return r.fill(x)
	case map[string]any:
		if x["rogue_public"] == true {
			return r.rogue.jwk()
		}
		if x["repeat"] != nil || x["nest"] != nil || x["template"] != nil {
			return r.text(raw)
		}
	case []any:
		for i := range x {
			if s, ok := x[i].(string); ok {
				x[i] = r.fill(s)
			}
		}
	}
	return v
}

func (r *replay) values(raws map[string]json.RawMessage) map[string]any {
	out := map[string]any{}
	for k, raw := range raws {
		out[k] = r.value(raw)
	}
	return out
}

func (r *replay) make(c badToken) string {
	r.t.Helper()
	if c.Setup == "issuer_rotate" {
		r.issuer.rotate()
	}
	key := r.issuer.current()
	now := time.Now().Unix()
	claims := patch(map[string]any{"sub": replayUser, "iat": now, "iss": testIss, "aud": testAud}, r.values(c.Claims))
	if c.Sign == "session" {
		claims = patch(claims, map[string]any{"sid": testSid, "exp": now + 600})
	}
	payload := mustJSON(r.t, claims)
	switch {
	case c.PayloadTpl != nil:
		payload = []byte(r.fill(*c.PayloadTpl))
	case c.PayloadB64 != nil:
		var err error
		if payload, err = base64.StdEncoding.DecodeString(*c.PayloadB64); err != nil {
			r.t.Fatal(err)
		}
	case c.PayloadGen != nil:
		payload = []byte(r.text(c.PayloadGen))
	}
	b64 := base64.RawURLEncoding.EncodeToString
	header := patch(map[string]any{"alg": "EdDSA", "kid": key.kid}, r.values(c.Header))
	text := b64(mustJSON(r.t, header)) + "." + b64(payload)
	var sig []byte
	switch c.Sign {
	case "issuer", "session":
		sig = sign(key, text)
	case "rogue":
		sig = sign(r.rogue, text)
	case "zero:64":
		sig = make([]byte, 64)
	case "hmac:jwk_json":
		mac := hmac.New(sha256.New, mustJSON(r.t, key.jwk()))
		mac.Write([]byte(text))
		sig = mac.Sum(nil)
	case "none":
	default:
		r.t.Fatalf("sign %q", c.Sign)
	}
	switch c.Setup {
	case "", "issuer_rotate":
	case "sign_out_after_token": // a matter of the edge, which keeps the revoked sids
	case "sign_then_issuer_rotate":
		r.issuer.rotate()
	default:
		r.t.Fatalf("setup %q", c.Setup)
	}
	switch a, b, _ := strings.Cut(text, "."); c.Mutate {
	case "":
		return text + "." + b64(sig)
	case "as_jwe":
		return strings.Join([]string{a, b, b64(sig), b, b64(sig)}, ".")
	case "swap_header":
		return b64([]byte(`{"alg":"EdDSA"}`)) + "." + b + "." + b64(sig)
	case "double_sig":
		return text + "." + b64(append(sig, sig...))
	case "flip_sig_bit":
		sig[0] ^= 1
		return text + "." + b64(sig)
	case "truncate_sig":
		return text + "." + b64(sig)[:40]
	default:
		r.t.Fatalf("mutate %q", c.Mutate)
		return ""
	}
}
