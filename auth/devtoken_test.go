package auth

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestDevTokenFor(t *testing.T) {
	t.Parallel()
	origins, err := NewOrigins(OriginsOptions{
		Entries: []string{"http://127.0.0.1:7420", "http://localhost:7420"}, LoopbackHTTP: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	d := newDevIssuer(t, DevOptions{Origins: origins})
	v := mustVerifier(t, d)
	type change = func(*http.Request)
	set := func(name string, values ...string) change {
		return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
	}
	host := func(s string) change { return func(r *http.Request) { r.Host = s } }
	peer := func(s string) change { return func(r *http.Request) { r.RemoteAddr = s } }
	const good = `{"user_id":"ada"}`
	for _, row := range []struct {
		name   string
		body   string
		change change
		status int // 0 = a token
		code   string
	}{
		{"plain", good, nil, 0, ""},
		{"over IPv6", good, peer("[::1]:50000"), 0, ""},
		{"mapped address", good, peer("[::ffff:127.0.0.1]:50000"), 0, ""},
		{"elsewhere in 127/8", good, peer("127.8.8.8:50000"), 0, ""},
		{"Host localhost", good, host("localhost:7420"), 0, ""},
		{"Host in other case", good, host("LocalHost:7420"), 0, ""},
		{"Host without port", good, host("127.0.0.1"), 0, ""},
		{"Host IPv6", good, host("[::1]:7420"), 0, ""},
		{"page of ours", good, set("Origin", "http://localhost:7420"), 0, ""},
		{"charset", good, set("Content-Type", "application/json; charset=UTF-8"), 0, ""},
		{"blanks", " {\n\"user_id\" : \"ada\" }\r\n", nil, 0, ""},

		{"peer from outside", good, peer("192.0.2.7:50000"), 403, CodeNotLoopback},
		{"peer on the local net", good, peer("10.0.0.1:50000"), 403, CodeNotLoopback},
		{"peer any", good, peer("0.0.0.0:50000"), 403, CodeNotLoopback},
		{"peer unknown", good, peer(""), 403, CodeNotLoopback},
		{"peer a unix socket", good, peer("@"), 403, CodeNotLoopback},
		{"peer a name", good, peer("localhost:50000"), 403, CodeNotLoopback},
		{"behind a proxy", good, set("X-Forwarded-For", "127.0.0.1"), 403, CodeNotLoopback},
		{"behind a proxy, RFC 7239", good, set("Forwarded", "for=127.0.0.1"), 403, CodeNotLoopback},
		{"behind a tunnel", good, set("X-Forwarded-Host", "x.example"), 403, CodeNotLoopback},
		{"Host rebound", good, host("evil.example:7420"), 403, CodeNotLoopback},
		{"Host rebound, prefix", good, host("localhost.evil.example:7420"), 403, CodeNotLoopback},
		{"Host rebound, address as prefix", good, host("127.0.0.1.evil.example"), 403, CodeNotLoopback},
		{"Host subdomain", good, host("app.localhost:7420"), 403, CodeNotLoopback},
		{"Host with dot", good, host("localhost.:7420"), 403, CodeNotLoopback},
		{"Host any", good, host("0.0.0.0:7420"), 403, CodeNotLoopback},
		{"Host with user", good, host("localhost@evil.example"), 403, CodeNotLoopback},
		{"Host with user first", good, host("evil.example@localhost"), 403, CodeNotLoopback},
		{"Host empty", good, host(""), 403, CodeNotLoopback},
		{"Host as a number", good, host("2130706433"), 403, CodeNotLoopback},
		{"page of another site", good, set("Origin", "https://evil.example"), 403, CodeOriginNotAllowed},
		{"page on another port", good, set("Origin", "http://localhost:9"), 403, CodeOriginNotAllowed},
		{"page null", good, set("Origin", "null"), 403, CodeOriginNotAllowed},
		{"two Origins", good, set("Origin", "http://localhost:7420", "http://localhost:7420"), 403, CodeOriginNotAllowed},
		{"cross-site without Origin", good, set("Sec-Fetch-Site", "cross-site"), 403, CodeOriginNotAllowed},
		{"as a form may send it", good, set("Content-Type", "text/plain"), 415, CodeUnsupportedMedia},
		{"no type", good, set("Content-Type"), 415, CodeUnsupportedMedia},
		{"two types", good, set("Content-Type", "application/json", "application/json"), 415, CodeUnsupportedMedia},
		{"list of types", good, set("Content-Type", "text/plain, application/json"), 415, CodeUnsupportedMedia},
		{"other charset", good, set("Content-Type", "application/json; charset=utf-16"), 415, CodeUnsupportedMedia},
		{"compressed", good, set("Content-Encoding", "gzip"), 415, CodeUnsupportedMedia},
		{"large by its length", good, func(r *http.Request) { r.ContentLength = maxDevBodyLen + 1 }, 413, CodeBodyTooLarge},
		{"large without length", good + strings.Repeat(" ", maxDevBodyLen), func(r *http.Request) { r.ContentLength = -1 }, 413, CodeBodyTooLarge},
		{"cut short", good, func(r *http.Request) { r.Body = http.NoBody }, 400, CodeInvalidJSON},
		{"connection lost", good, func(r *http.Request) { r.Body = brokenBody{} }, 400, CodeInvalidJSON},
		{"no body", "", nil, 400, CodeInvalidJSON},
		{"not JSON", "user_id=ada", nil, 400, CodeInvalidJSON},
		{"list", `["ada"]`, nil, 400, CodeInvalidJSON},
		{"null", `null`, nil, 400, CodeInvalidJSON},
		{"no user", `{}`, nil, 400, CodeInvalidJSON},
		{"user null", `{"user_id":null}`, nil, 400, CodeInvalidJSON},
		{"user number", `{"user_id":7}`, nil, 400, CodeInvalidJSON},
		{"name in other case", `{"User_ID":"ada"}`, nil, 400, CodeInvalidJSON},
		{"twice", `{"user_id":"ada","user_id":"bob"}`, nil, 400, CodeInvalidJSON},
		{"more", `{"user_id":"ada","admin":true}`, nil, 400, CodeInvalidJSON},
		{"two documents", good + good, nil, 400, CodeInvalidJSON},
		{"bad UTF-8", "{\"user_id\":\"ad\xff\"}", nil, 400, CodeInvalidJSON},
		{"user empty", `{"user_id":""}`, nil, 422, CodeInvalidUserID},
		{"user with dot", `{"user_id":"a.b"}`, nil, 422, CodeInvalidUserID},
		{"user a route word", `{"user_id":"config"}`, nil, 422, CodeInvalidUserID},
		{"user of 65", `{"user_id":"` + strings.Repeat("u", 65) + `"}`, nil, 422, CodeInvalidUserID},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/dev/token", strings.NewReader(row.body))
			r.RemoteAddr, r.Host = "127.0.0.1:50000", "127.0.0.1:7420"
			r.Header.Set("Content-Type", "application/json")
			if row.change != nil {
				row.change(r)
			}
			got, err := d.TokenFor(nil, r)
			if row.status != 0 {
				kind := ErrBadRequest
				if row.status == http.StatusForbidden {
					kind = ErrForbidden
				}
				wantRefusal(t, err, kind, row.code)
				if r, _ := errors.AsType[*Refusal](err); r.Status != row.status {
					t.Errorf("status %d", r.Status)
				}
				if got != (DevToken{}) {
					t.Errorf("and yet %v", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			id, err := v.Verify(t.Context(), got.Token)
			if err != nil || id.UserID != "ada" || !id.ExpiresAt.Equal(got.ExpiresAt) {
				t.Fatalf("%v, %v", id, err)
			}
		})
	}
}

// TestDevTokenForWithoutOrigins: a page needs to be on the list, also if there is none.
func TestDevTokenForWithoutOrigins(t *testing.T) {
	t.Parallel()
	d := newDevIssuer(t, DevOptions{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := d.TokenFor(w, r)
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			w.WriteHeader(refusal.Status)
			return
		}
		_ = json.NewEncoder(w).Encode(got)
	}))
	t.Cleanup(server.Close)
	for origin, want := range map[string]int{"": http.StatusOK, server.URL: http.StatusForbidden} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(`{"user_id":"ada"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var body map[string]any
		if want == http.StatusOK {
			if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || len(body) != 2 || body["token"] == "" || body["expires_at"] == "" {
				t.Errorf("answer %v, %v", body, err)
			}
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("Origin %q: status %d", origin, resp.StatusCode)
		}
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, errors.New("connection reset") }
func (brokenBody) Close() error             { return nil }
