package edge

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	get := func(path string, headers ...string) reply { t.Helper(); return w.do("", "GET", path, "", headers...) }
	page := get("/", "Accept", "text/html,*/*;q=0.8")
	csp := page.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self';", "frame-ancestors " + testOrigin, "require-trusted-types-for 'script'; trusted-types 'none'", "img-src 'self' data: blob:", "connect-src 'self' ws://localhost:5173"} {
		if !strings.Contains(csp, want) {
			t.Errorf("policy %q lacks %q", csp, want)
		}
	}
	if page.status != 200 || page.header.Get("Cache-Control") != "no-cache" || !strings.Contains(string(page.body), `data-theme="system"`) {
		t.Errorf("page: %d %v %s", page.status, page.header, page.body)
	}
	if r := get("/", "If-None-Match", `W/"x", `+page.header.Get("Etag")); r.status != 304 || len(r.body) != 0 {
		t.Errorf("not modified: %d", r.status)
	}
	for cookie, want := range map[string]string{"theme=dark": `data-theme="dark"`, "theme=light": `data-theme="light"`, `theme="><script>`: `data-theme="system"`} {
		r := get("/", "Cookie", cookie)
		if !strings.Contains(string(r.body), want) || r.header.Get("Vary") != "Cookie" {
			t.Errorf("%s: %s", cookie, r.body)
		}
		if changed := want != `data-theme="system"`; changed == (r.header.Get("Etag") == page.header.Get("Etag")) {
			t.Errorf("%s: ETag %s", cookie, r.header.Get("Etag"))
		}
	}
	for accept, want := range map[string]string{"gzip, deflate, br": "br", "gzip": "gzip", "br;q=0, gzip;q=0.5": "gzip", "identity": "", "*": "br"} {
		r := get("/assets/app-1a2b.js", "Accept-Encoding", accept)
		if r.status != 200 || r.header.Get("Content-Encoding") != want || r.header.Get("Vary") != "Accept-Encoding" ||
			r.header.Get("Cache-Control") != "public, max-age=31536000, immutable" || r.header.Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("%q: %d %v", accept, r.status, r.header)
		}
	}
	for _, c := range []struct {
		path, accept string
		want         int
	}{
		{"/c/some-conversation", "text/html", 200},
		{"/c/some-conversation", "application/json", 404},
		{"/c/some-conversation", "*/*", 404},
		{"/favicon.svg", "image/*", 200},
		{"/favicon.ico", "text/html", 404},
		{"/assets/gone-0000.js", "text/html", 404},
		{"/assets/secret-file.exe", "*/*", 404},
		{"/assets/app-1a2b.js.br", "*/*", 404},
		{"/assets/..%2findex.html", "text/html", 404},
		{"/index.html", "*/*", 404},
	} {
		if r := get(c.path, "Accept", c.accept); r.status != c.want {
			t.Errorf("%s for %s: %d", c.path, c.accept, r.status)
		}
	}
	if r := w.do("", "HEAD", "/", ""); r.status != 200 || len(r.body) != 0 || r.header.Get("Etag") != page.header.Get("Etag") {
		t.Errorf("HEAD: %d", r.status)
	}
	if r := w.do("", "POST", "/c/x", "", "Accept", "text/html"); r.status != 404 {
		t.Errorf("POST to a view: %d", r.status)
	}
	if _, err := newPage(fstest.MapFS{"index.html": {Data: []byte("<html>")}}, nil); err == nil {
		t.Error("a page that has no place for the theme was taken")
	}
}
