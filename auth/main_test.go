package auth

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testURL = "https://issuer.test/api/auth/jwks"
	testIss = "https://issuer.test"
	testAud = "parley-test"
	testSub = "8bAqJ2h5ZJc2m1XoVnYx0uP7fRkDgTsW"
	testSid = "x9LmQ4r7TzVb1NcKyH0dWfJ2sPaGuE6o"
)

// testIssuer is an issuer that signs whatever it is told to. As an
// http.RoundTripper it is also the network to its JWKS.
type testIssuer struct {
	t testing.TB

	mu      sync.Mutex
	keys    []testKey
	fetches int
	// answer replaces the JWKS, if set.
	answer func(*http.Request) (*http.Response, error)
}

type testKey struct {
	kid  string
	priv ed25519.PrivateKey
}

func newTestIssuer(tb testing.TB) *testIssuer {
	tb.Helper()
	i := &testIssuer{t: tb}
	i.rotate()
	return i
}

// rotate adds a key and signs with it from now on. Old keys stay listed.
func (i *testIssuer) rotate() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, makeKey(fmt.Sprintf("kid%d", len(i.keys)+1)))
}

// makeKey derives the key from its name, so that failures repeat.
func makeKey(kid string) testKey {
	seed := sha256.Sum256([]byte(kid))
	return testKey{kid: kid, priv: ed25519.NewKeyFromSeed(seed[:])}
}

func (k testKey) public() ed25519.PublicKey { return k.priv.Public().(ed25519.PublicKey) }

func (k testKey) jwk() map[string]any {
	return map[string]any{"alg": "EdDSA", "crv": "Ed25519", "kty": "OKP", "kid": k.kid, "x": base64.RawURLEncoding.EncodeToString(k.public())}
}

func (i *testIssuer) current() testKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[len(i.keys)-1]
}

func (i *testIssuer) jwks() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	list := []any{}
	for _, k := range i.keys {
		list = append(list, k.jwk())
	}
	return mustJSON(i.t, map[string]any{"keys": list})
}

func (i *testIssuer) setAnswer(f func(*http.Request) (*http.Response, error)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = f
}

func (i *testIssuer) fetchCount() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

func (i *testIssuer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.String() != testURL {
		i.t.Errorf("request to %s", r.URL)
	}
	i.mu.Lock()
	i.fetches++
	answer := i.answer
	i.mu.Unlock()
	if answer != nil {
		return answer(r)
	}
	return respond(http.StatusOK, i.jwks()), nil
}

func respond(status int, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}
}

func down(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }

func (i *testIssuer) options() Options {
	return Options{JWKSURL: testURL, Issuer: testIss, Audience: testAud, HTTPClient: &http.Client{Transport: i}}
}

func (i *testIssuer) verifier() *Verifier {
	i.t.Helper()
	v, err := New(i.options())
	if err != nil {
		i.t.Fatal(err)
	}
	return v
}

// token signs good claims with changes; a nil value removes a claim.
func (i *testIssuer) token(changes map[string]any) string {
	return i.tokenWith(nil, changes)
}

func (i *testIssuer) tokenWith(header, changes map[string]any) string {
	i.t.Helper()
	return i.sign(i.current(), header, mustJSON(i.t, goodClaims(changes)))
}

func goodClaims(changes map[string]any) map[string]any {
	now := time.Now().Unix()
	return patch(map[string]any{
		"iat": now, "sid": testSid, "sub": testSub, "exp": now + 600, "iss": testIss, "aud": testAud,
	}, changes)
}

func (i *testIssuer) sign(key testKey, header map[string]any, payload []byte) string {
	i.t.Helper()
	head := mustJSON(i.t, patch(map[string]any{"alg": "EdDSA", "kid": key.kid}, header))
	return signRaw(key, head, payload)
}

func signRaw(key testKey, header, payload []byte) string {
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	return text + "." + base64.RawURLEncoding.EncodeToString(sign(key, text))
}

func sign(key testKey, text string) []byte { return ed25519.Sign(key.priv, []byte(text)) }

func patch(m, changes map[string]any) map[string]any {
	m = maps.Clone(m)
	for k, v := range changes {
		if v == nil {
			delete(m, k)
		} else {
			m[k] = v
		}
	}
	return m
}

func mustJSON(tb testing.TB, v any) []byte {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// advance moves the clock of a synctest bubble on, and lets all that this wakes
// come to rest.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// wantRefusal checks kind, code and status of an error in one go.
func wantRefusal(tb testing.TB, err, kind error, code string) {
	tb.Helper()
	r, ok := errors.AsType[*Refusal](err)
	if !ok || !errors.Is(err, kind) || r.Code != code {
		tb.Fatalf("error is %v (%T), want %s as %v", err, err, code, kind)
	}
	statuses := map[error][]int{
		ErrUnauthenticated: {401}, ErrUnavailable: {503}, ErrForbidden: {403}, ErrBadRequest: {400, 413, 415, 422},
	}
	if r.Message == "" || !slices.Contains(statuses[kind], r.Status) {
		tb.Fatalf("refusal %s has status %d, message %q", r.Code, r.Status, r.Message)
	}
}
