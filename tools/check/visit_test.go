package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A visit fails at whatever does not work.
func TestVisitSeesWhatDoesNotWork(t *testing.T) {
	t.Parallel()
	const (
		html   = `<!doctype html><html><head><script type="module" crossorigin src="/assets/index-1.js"></script></head></html>`
		answer = `{"status":"completed","response":"I added it.","tool_calls":[{"name":"add_task","ok":true}]}`
	)
	for _, c := range []struct {
		name, wants string
		html, kind  string // what stands at /
		script      int    // the status of the script
		token       int
		answer      string
	}{
		{name: "all works", html: html, answer: answer},
		{name: "not built", html: "", wants: "GET /: 404"},
		{name: "no script", html: "<!doctype html><h1>The page is not built</h1>", wants: "the page has no script"},
		{name: "no HTML", html: html, kind: "text/plain", wants: "not of text/html"},
		{name: "script away", html: html, script: 404, wants: "GET /assets/index-1.js: 404"},
		{name: "nobody may come in", html: html, token: 403, wants: "POST /api/dev/token: 403"},
		{name: "refused", html: html, wants: "POST /api/visitor/chat: 503"},
		{name: "failed", html: html, answer: strings.Replace(answer, "completed", "failed", 1), wants: "the answer is failed"},
		{name: "silent", html: html, answer: strings.Replace(answer, "I added it.", "", 1), wants: `says ""`},
		{name: "no call", html: html, answer: `{"status":"completed","response":"Hello."}`, wants: "no task was added"},
		{name: "call failed", html: html, answer: strings.Replace(answer, "true", "false", 1), wants: "no task was added"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			say := func(kind string, status int, text string) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", kind)
					if status != 0 {
						w.WriteHeader(status)
					}
					_, _ = io.WriteString(w, text)
				}
			}
			status, kind := 0, c.kind
			if c.html == "" {
				status = http.StatusNotFound
			}
			if kind == "" {
				kind = "text/html; charset=utf-8"
			}
			mux := http.NewServeMux()
			mux.Handle("GET /{$}", say(kind, status, c.html))
			mux.Handle("GET /assets/index-1.js", say("text/javascript; charset=utf-8", c.script, "render()"))
			mux.Handle("POST /api/dev/token", say("application/json", c.token, `{"token":"t"}`))
			mux.HandleFunc("POST /api/visitor/chat", func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer t" || c.answer == "" {
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				_, _ = io.WriteString(w, c.answer)
			})
			s := httptest.NewServer(mux)
			defer s.Close()
			err := visit(t.Context(), s.URL)
			if (err == nil) != (c.wants == "") || err != nil && !strings.Contains(err.Error(), c.wants) {
				t.Errorf("%v, want %q", err, c.wants)
			}
		})
	}
}

// The address is read where dev prints it.
func TestWatchedFindsTheAddress(t *testing.T) {
	t.Parallel()
	w := &watched{log: io.Discard, line: readyLine, seen: make(chan struct{})}
	if at, err := w.address(); err == nil {
		t.Errorf("%s was never printed", at)
	}
	for _, part := range []string{"\nParley is ready after 0.3 s.\n\n  Op", "en      http://127.0.0.1:43", "21\n  Model     demo\n\nCtrl-C stops it; nothing is lost.\n"} {
		if _, err := io.WriteString(w, part); err != nil {
			t.Fatal(err)
		}
	}
	<-w.seen
	if at, err := w.address(); err != nil || at != "http://127.0.0.1:4321" {
		t.Errorf("%q, %v", at, err)
	}
}
