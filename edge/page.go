package edge

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/parleychat/parley/auth"
)

const (
	// themeCookie holds "light" or "dark", so that the first paint is right.
	themeCookie = "theme"
	// themeMark is what the page's index.html says where the theme belongs.
	themeMark = `data-theme="system"`
)

// notBuilt is shown where the page would be.
const notBuilt = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Parley: the page is not built</title>
<h1>The page is not built</h1>
<p>This server works, but it was built without its page. In the source tree run:</p>
<pre>npm --prefix frontend ci
npm --prefix frontend run build</pre>
<p>and start it again. <code>go run ./cmd/parley dev</code> does all of this by itself.</p>
</html>
`

// contentTypes are those of files that a page may have; the machine's own
// table may lack or change them.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".webp": "image/webp", ".woff2": "font/woff2",
	".json": "application/json", ".map": "application/json", ".webmanifest": "application/manifest+json", ".txt": "text/plain; charset=utf-8",
}

// A page serves the built files of the frontend.
type page struct {
	files  fs.FS
	policy string
}

func newPage(files fs.FS, origins *auth.Origins) (*page, error) {
	if files == nil {
		files = noFiles{}
	}
	p := &page{files: files, policy: pagePolicy(origins.List())}
	if b, err := fs.ReadFile(files, "index.html"); err == nil && !bytes.Contains(b, []byte(themeMark)) {
		return nil, errors.New("index.html has no " + themeMark + " to put the theme in")
	}
	return p, nil
}

// pagePolicy lets the page run its own files, talk to its own server, and be
// framed by the allowed origins. 'self' covers the WebSocket of the same origin.
// No text becomes HTML or code: the page needs no trusted type, so it can make none.
func pagePolicy(origins []string) string {
	frames := "'none'"
	connect := []string{"'self'"}
	if len(origins) > 0 {
		frames = strings.Join(origins, " ")
	}
	for _, o := range origins {
		// Browsers before CSP 3 do not take ws: to be covered by 'self'.
		if rest, ok := strings.CutPrefix(o, "http"); ok {
			connect = append(connect, "ws"+rest)
		}
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src " + strings.Join(connect, " ") +
		"; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors " + frames +
		"; require-trusted-types-for 'script'; trusted-types 'none'"
}

func (p *page) built() bool {
	_, err := fs.Stat(p.files, "index.html")
	return err == nil
}

// index serves the page itself, at / and wherever the page has a view.
func (p *page) index(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Vary", "Cookie")
	b, err := fs.ReadFile(p.files, "index.html")
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(notBuilt))
		return
	}
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		b = bytes.Replace(b, []byte(themeMark), []byte(`data-theme="`+c.Value+`"`), 1)
	}
	h.Set("Cache-Control", "no-cache")
	serveBytes(w, r, b)
}

// asset serves a file whose name contains the hash of its content.
func (p *page) asset(w http.ResponseWriter, r *http.Request) {
	p.file(w, r, strings.TrimPrefix(r.URL.Path, "/"), "public, max-age=31536000, immutable", func() {
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("no such file\n"))
	})
}

// fallback serves what no route knows: a file beside index.html, or the page
// for one of its views. It reports whether it did.
func (p *page) fallback(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.URL.Path == "/api" || strings.HasPrefix(r.URL.Path, "/api/") {
		return false
	}
	served := true
	p.file(w, r, strings.TrimPrefix(r.URL.Path, "/"), "no-cache", func() { served = false })
	if served {
		return true
	}
	_, named := accepts(r, "text/html")
	if !named || path.Ext(r.URL.Path) != "" || strings.HasPrefix(r.URL.Path, "/.well-known/") {
		return false
	}
	p.index(w, r)
	return true
}

func (p *page) file(w http.ResponseWriter, r *http.Request, name, caching string, missing func()) {
	kind, known := contentTypes[path.Ext(name)]
	if !known || !fs.ValidPath(name) || name == "index.html" {
		missing()
		return
	}
	plain, err := fs.ReadFile(p.files, name)
	if err != nil {
		missing()
		return
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", caching)
	h.Set("Vary", "Accept-Encoding")
	for _, c := range []struct{ coding, ext string }{{"br", ".br"}, {"gzip", ".gz"}} {
		if b, err := fs.ReadFile(p.files, name+c.ext); err == nil && takesCoding(r, c.coding) {
			h.Set("Content-Encoding", c.coding)
			serveBytes(w, r, b)
			return
		}
	}
	serveBytes(w, r, plain)
}

// serveBytes answers with b and its hash as ETag, or with 304.
func serveBytes(w http.ResponseWriter, r *http.Request, b []byte) {
	sum := sha256.Sum256(b)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	h := w.Header()
	h.Set("Etag", etag)
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("If-None-Match"), ","), ",") {
		if part = strings.TrimPrefix(strings.TrimSpace(part), "W/"); part == etag || part == "*" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b) //nolint:gosec // a built file; a reader who is gone cannot be told
	}
}

// takesCoding reports whether the client takes a content coding (RFC 9110 §12.5.3).
func takesCoding(r *http.Request, coding string) bool {
	star := false
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, params, _ := strings.Cut(part, ";")
		weight := 1.0
		if q, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			weight, _ = strconv.ParseFloat(q, 64)
		}
		switch name = strings.TrimSpace(name); {
		case strings.EqualFold(name, coding):
			return weight > 0
		case name == "*":
			star = weight > 0
		}
	}
	return star
}

// noFiles is a page that is not built.
type noFiles struct{}

func (noFiles) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
