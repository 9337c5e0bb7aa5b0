package auth

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func TestParseJWKS(t *testing.T) {
	t.Parallel()
	a, b := makeKey("a"), makeKey("b")
	with := func(k testKey, name string, value any) map[string]any {
		return patch(k.jwk(), map[string]any{name: value})
	}
	x := a.jwk()["x"].(string)
	for _, row := range []struct {
		name string
		keys []any
		want string // kids, or empty for an error
	}{
		{"two", []any{a.jwk(), b.jwk()}, "a b"},
		{"as Better Auth writes it, and more", []any{with(a, "x5t", "z"), with(b, "expiresAt", nil)}, "a b"},
		{"alg missing", []any{with(a, "alg", nil)}, "a"},
		{"alg of RFC 9864", []any{with(a, "alg", "Ed25519")}, "a"},
		{"alg other", []any{with(a, "alg", "ES256")}, ""},
		{"use sig", []any{with(a, "use", "sig")}, "a"},
		{"use enc", []any{with(a, "use", "enc")}, ""},
		{"key_ops verify", []any{with(a, "key_ops", []string{"verify"})}, "a"},
		{"key_ops sign", []any{with(a, "key_ops", []string{"sign"})}, ""},
		{"private half published", []any{with(a, "d", x), b.jwk()}, "b"},
		{"kty other", []any{with(a, "kty", "EC"), b.jwk()}, "b"},
		{"crv other", []any{with(a, "crv", "X25519"), b.jwk()}, "b"},
		{"kid missing", []any{with(a, "kid", nil), b.jwk()}, "b"},
		{"kid number", []any{with(a, "kid", 7), b.jwk()}, "b"},
		{"kid of 129", []any{with(a, "kid", strings.Repeat("k", 129)), b.jwk()}, "b"},
		{"x short", []any{with(a, "x", x[:40]), b.jwk()}, "b"},
		{"x padded", []any{with(a, "x", x+"="), b.jwk()}, "b"},
		{"x with a line break", []any{with(a, "x", x+"\n"+"AAAA"), b.jwk()}, "b"},
		{"x missing", []any{with(a, "x", nil), b.jwk()}, "b"},
		{"not an object", []any{"a", b.jwk(), nil, 7}, "b"},
		{"name in other case", []any{patch(a.jwk(), map[string]any{"kid": nil, "KID": "a"})}, ""},
		{"one kid for two keys", []any{a.jwk(), with(b, "kid", "a")}, ""},
		{"none", []any{}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			keys, err := parseJWKS(mustJSON(t, map[string]any{"keys": row.keys}))
			if (err == nil) != (row.want != "") {
				t.Fatalf("%v, %v", keys, err)
			}
			for kid := range strings.FieldsSeq(row.want) {
				if !keys[kid].Equal(makeKey(kid).priv.Public()) {
					t.Errorf("key %s is missing or another", kid)
				}
			}
			if len(keys) != len(strings.Fields(row.want)) {
				t.Errorf("keys %v, want %s", keys, row.want)
			}
		})
	}
	if _, err := parseJWKS([]byte(`{"keys":[],"keys":[]}`)); err == nil {
		t.Error("member twice")
	}
}

// TestFetchOverHTTP uses real sockets, for what only those show.
func TestFetchOverHTTP(t *testing.T) {
	t.Parallel()
	var trapped atomic.Int64
	i := newTestIssuer(t)
	padded := func(n int) []byte {
		b := i.jwks()
		return append(b, bytes.Repeat([]byte(" "), n-len(b))...)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/good", func(w http.ResponseWriter, r *http.Request) {
		if len(r.Cookies()) > 0 || r.Header.Get("Authorization") != "" {
			t.Error("credentials sent for public keys")
		}
		_, _ = w.Write(i.jwks())
	})
	mux.HandleFunc("/trap", func(w http.ResponseWriter, _ *http.Request) { trapped.Add(1); _, _ = w.Write(i.jwks()) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		mux.HandleFunc(fmt.Sprintf("/redirect%d", status), func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/trap", status)
		})
	}
	mux.HandleFunc("/largest", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(padded(maxJWKSLen)) })
	mux.HandleFunc("/oversized", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(padded(maxJWKSLen + 1)) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(bytes.Repeat([]byte(" "), 4096)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/error", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write(i.jwks())
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	token := i.token(nil)

	for path, good := range map[string]bool{
		"/good": true, "/largest": true,
		"/redirect301": false, "/redirect302": false, "/redirect303": false, "/redirect307": false, "/redirect308": false,
		"/oversized": false, "/endless": false, "/error": false, "/cut": false, "/absent": false,
	} {
		t.Run(path[1:], func(t *testing.T) {
			o := Options{JWKSURL: server.URL + path, Issuer: testIss, Audience: testAud}
			v, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = v.Verify(t.Context(), token)
			if good && err != nil {
				t.Fatal(err)
			}
			if !good {
				wantRefusal(t, err, ErrUnavailable, CodeAuthUnavailable)
			}
		})
	}
	if trapped.Load() != 0 {
		t.Errorf("a redirect was followed %d times", trapped.Load())
	}
}

// TestClientOfCaller: of a given client only the transport counts.
func TestClientOfCaller(t *testing.T) {
	t.Parallel()
	i := newTestIssuer(t)
	i.setAnswer(func(r *http.Request) (*http.Response, error) {
		resp := respond(302, nil)
		resp.Header.Set("Location", "https://evil.example/jwks")
		return resp, nil
	})
	o := i.options()
	o.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error { return nil }
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(t.Context(), i.token(nil))
	wantRefusal(t, err, ErrUnavailable, CodeAuthUnavailable)
	if i.fetchCount() != 1 {
		t.Fatalf("%d fetches", i.fetchCount())
	}
}
