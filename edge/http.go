package edge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/parleychat/parley/auth"
	"github.com/parleychat/parley/events"
)

// A call is one request of a person who is known.
type call struct {
	e    *Edge
	w    http.ResponseWriter
	r    *http.Request
	user events.UserID
}

// routes lists every call. The OpenAPI document is checked against it.
func (e *Edge) routes() *chi.Mux {
	m := chi.NewRouter()
	m.NotFound(func(w http.ResponseWriter, r *http.Request) {
		if e.page.fallback(w, r) {
			return
		}
		e.fail(w, r, notFound("page"))
	})
	m.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allowed(m, r.URL.Path))
		e.fail(w, r, refuse(http.StatusMethodNotAllowed, codeMethod, "This address does not know this method."))
	})
	get := func(pattern string, h http.HandlerFunc) {
		m.Get(pattern, h)
		m.Head(pattern, h)
	}
	get("/healthz", e.healthz)
	get("/readyz", e.readyz)
	get("/openapi.json", e.serveOpenAPI)
	get("/api/config", e.config)
	m.Post("/api/dev/token", e.devToken)
	get("/.well-known/jwks.json", e.jwks)
	get("/", e.page.index)
	get("/assets/*", e.page.asset)

	m.Get("/api/{user}/ws", e.socket(e.upgrader()))
	m.Post("/api/{user}/chat", e.with((*call).chat))
	get("/api/{user}/conversations", e.with((*call).conversations))
	get("/api/{user}/conversations/{conversation}", e.with((*call).conversation))
	m.Patch("/api/{user}/conversations/{conversation}", e.with((*call).patchConversation))
	m.Delete("/api/{user}/conversations/{conversation}", e.with((*call).deleteConversation))
	m.Post("/api/{user}/conversations/{conversation}/restore", e.with((*call).restoreConversation))
	get("/api/{user}/conversations/{conversation}/messages", e.with((*call).messages))
	m.Get("/api/{user}/conversations/{conversation}/events", e.with((*call).events))
	get("/api/{user}/conversations/{conversation}/export", e.with((*call).export))
	get("/api/{user}/search", e.with((*call).search))
	get("/api/{user}/runs/{run}", e.with((*call).run))
	m.Post("/api/{user}/runs/{run}/cancel", e.with((*call).cancelRun))
	get("/api/{user}/tasks", e.with((*call).tasks))
	get("/api/{user}/tasks/history", e.with((*call).taskChanges))
	get("/api/{user}/tasks/{task}/history", e.with((*call).taskHistory))
	m.Post("/api/{user}/tool_calls", e.with((*call).toolCalls))
	return m
}

// allowed lists the methods of a path: a 405 must say them.
func allowed(m *chi.Mux, path string) string {
	var list []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		if m.Match(chi.NewRouteContext(), method, path) {
			list = append(list, method)
		}
	}
	return strings.Join(append(list, http.MethodOptions), ", ")
}

type requestKey struct{}

// requestID returns the id under which a request is logged.
func requestID(r *http.Request) string {
	id, _ := r.Context().Value(requestKey{}).(string)
	return id
}

// wrap is around every request: an id, headers that every answer has, the
// origin check, panics, metrics.
func (e *Edge) wrap(next *chi.Mux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := uuid.Must(uuid.NewV7()).String()
		route := chi.NewRouteContext()
		ctx := context.WithValue(context.WithValue(r.Context(), requestKey{}, id), chi.RouteCtxKey, route)
		r = r.WithContext(ctx)
		rec := &recorder{ResponseWriter: w}
		_ = http.NewResponseController(w).SetWriteDeadline(start.Add(writeTimeout))
		defer func() {
			if v := recover(); v != nil {
				e.panicked(rec, r, v)
			}
			pattern := route.RoutePattern()
			e.metrics.request(pattern, r.Method, rec.status, time.Since(start))
			e.o.Logger.Debug("request", "request_id", id, "route", pattern, "method", r.Method, "status", rec.status)
		}()
		e.commonHeaders(w.Header(), r, id)
		if e.admit(rec, r, next) {
			next.ServeHTTP(rec, r)
		}
		readOut(rec, r)
	})
}

// readOut reads what an answered request has left of its body, where net/http
// closes the connection without doing so: a client, or a proxy that speaks
// HTTP/1.0, which is still sending then would be reset and never see the answer.
func readOut(w http.ResponseWriter, r *http.Request) {
	if !r.Close || r.ContentLength == 0 {
		return
	}
	// The client decides how much of this matters; the read timeout goes on.
	_ = http.NewResponseController(w).Flush()
	_, _ = io.CopyN(io.Discard, r.Body, maxReadOut)
}

func (e *Edge) commonHeaders(h http.Header, r *http.Request, id string) {
	h.Set("X-Request-Id", id)
	if e.stopping.Load() {
		h.Set("Connection", "close")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
}

// admit applies what holds for every path before its handler: who may ask from
// where, preflights, and that the edge is not about to stop.
func (e *Edge) admit(w http.ResponseWriter, r *http.Request, m *chi.Mux) bool {
	api := strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == "/openapi.json" || strings.HasPrefix(r.URL.Path, "/.well-known/")
	if api {
		w.Header().Set("Vary", "Origin")
		origin, ok := e.o.Origins.Allowed(r)
		if origin != "" {
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Expose-Headers", "Content-Disposition, Location, Retry-After, X-Request-Id")
			h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		}
		if !ok {
			e.fail(w, r, refuse(http.StatusForbidden, codeOrigin, "This site is not on the list of allowed origins."))
			return false
		}
	}
	if r.Method == http.MethodOptions {
		h := w.Header()
		methods := allowed(m, r.URL.Path)
		h.Set("Allow", methods)
		if h.Get("Access-Control-Allow-Origin") != "" {
			h.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Prefer")
			h.Set("Access-Control-Max-Age", "600")
		}
		w.WriteHeader(http.StatusNoContent)
		return false
	}
	if api && e.stopping.Load() {
		e.fail(w, r, draining())
		return false
	}
	return true
}

func (e *Edge) panicked(w *recorder, r *http.Request, v any) {
	if v == http.ErrAbortHandler { //nolint:errorlint // the documented sentinel, compared as net/http does
		panic(v)
	}
	e.metrics.panics.Inc()
	e.o.Logger.Error("handler panicked", "request_id", requestID(r), "panic", fmt.Sprintf("%T", v))
	if w.status != 0 {
		panic(http.ErrAbortHandler) // the answer has begun: cut it, so that it is not taken for whole
	}
	writeError(w, requestID(r), apiErrorOf(fmt.Errorf("panic: %v", v)))
}

// fail answers with an error and logs those that are ours. Who has gone away, as
// a page does that is closed, has cut off the work, and that is no failure.
func (e *Edge) fail(w http.ResponseWriter, r *http.Request, err error) {
	a := apiErrorOf(err)
	if a.status >= 500 && a.code != codeDraining && r.Context().Err() == nil {
		e.o.Logger.Warn("request failed", "request_id", requestID(r), "code", a.code, "err", err)
	}
	writeError(w, requestID(r), a)
}

// with makes a handler of a call: the cheap refusals first, then the token.
func (e *Edge) with(f func(*call) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{e: e, w: w, r: r}
		err := c.identify() //nolint:contextcheck // a call carries its request, and that its context
		if err == nil {
			err = f(c)
		}
		if err != nil {
			e.fail(w, r, err)
		}
	}
}

func (c *call) identify() error {
	if err := checkHead(c.r); err != nil {
		return err
	}
	token, err := auth.BearerToken(c.r.Header)
	if err != nil {
		return err
	}
	id, err := c.e.o.Verifier.Verify(c.r.Context(), token)
	if err != nil {
		return err
	}
	// The path's person is only compared; what counts is the token's.
	user := chi.URLParam(c.r, "user")
	if !auth.ValidUserID(user) {
		return notFound("page")
	}
	if id.UserID != user {
		return foreign()
	}
	c.user = events.UserID(id.UserID)
	return nil
}

// checkHead refuses by a request's head what no body could make good.
func checkHead(r *http.Request) error {
	if r.ContentLength > maxBody {
		return refuse(http.StatusRequestEntityTooLarge, codeTooLarge, "A body may have 256 KiB.")
	}
	if len(r.Header.Values("Content-Encoding")) > 0 {
		return refuse(http.StatusUnsupportedMediaType, codeUnsupported, "Send the body as it is, without Content-Encoding.")
	}
	if r.ContentLength == 0 || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, given := params["charset"]
	if err != nil || media != "application/json" || len(r.Header.Values("Content-Type")) != 1 || given && !strings.EqualFold(charset, "utf-8") {
		return refuse(http.StatusUnsupportedMediaType, codeUnsupported, "Send the body as Content-Type: application/json, in UTF-8.")
	}
	return nil
}

// body reads the request's JSON into v.
func (c *call) body(v any) error {
	b, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return refuse(http.StatusRequestEntityTooLarge, codeTooLarge, "A body may have 256 KiB.")
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.w.Header().Set("Connection", "close")
		return refuse(http.StatusRequestTimeout, codeTimeout, "The body did not arrive in time.")
	case err != nil:
		c.w.Header().Set("Connection", "close")
		return badRequest("The body could not be read to its end.")
	}
	if e := decodeStrict(b, v); e != nil {
		return e
	}
	return nil
}

// long lifts the deadlines of a request whose answer takes as long as it takes.
func (c *call) long() {
	rc := http.NewResponseController(c.w)
	// A writer that has no deadlines is one in a test.
	_ = rc.SetReadDeadline(time.Time{})
	_ = rc.SetWriteDeadline(time.Time{})
}

func (c *call) json(status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(writeTimeout))
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	c.w.WriteHeader(status)
	_, _ = c.w.Write(b) //nolint:gosec // JSON under nosniff, not HTML; a reader who is gone cannot be told
	return nil
}

// ref returns the conversation that the path names. It may still be unknown.
func (c *call) ref() (events.Ref, error) {
	r, err := events.NewRef(c.user, events.ConversationID(chi.URLParam(c.r, "conversation")))
	if err != nil {
		return events.Ref{}, notFound("conversation")
	}
	return r, nil
}

// limit reads ?limit=, between 1 and most.
func (c *call) limit(usual, most int) (int, error) {
	s := c.r.URL.Query().Get("limit")
	if s == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most {
		return 0, badRequest(fmt.Sprintf("limit must be a number from 1 to %d.", most))
	}
	return n, nil
}

// flag reads a parameter that is true or false, false by default.
func (c *call) flag(name string) (bool, error) {
	switch c.r.URL.Query().Get(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, badRequest(name + " must be true or false.")
}

func (c *call) text(name string) (string, error) {
	s := c.r.URL.Query().Get(name)
	if strings.ContainsRune(s, 0) || len(s) > 512 || !validUTF8(s) {
		return "", badRequest(name + " must be text of at most 512 bytes.")
	}
	return s, nil
}

// accepts reports whether the client takes a media type, and whether it names
// it: "*/*" takes all.
func accepts(r *http.Request, media string) (ok, named bool) {
	values := r.Header.Values("Accept")
	if len(values) == 0 {
		return true, false
	}
	kind, _, _ := strings.Cut(media, "/")
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		t, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		if q, err := strconv.ParseFloat(params["q"], 64); err == nil && q == 0 {
			continue
		}
		switch t {
		case media:
			return true, true
		case kind + "/*", "*/*":
			ok = true
		}
	}
	return ok, false
}

// prefers reports whether the client asks for a preference of RFC 7240.
func prefers(r *http.Request, preference string) bool {
	return slices.ContainsFunc(r.Header.Values("Prefer"), func(v string) bool {
		for part := range strings.SplitSeq(v, ",") {
			name, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(name), preference) {
				return true
			}
		}
		return false
	})
}

// A recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack serves the WebSocket upgrader, which looks for the method itself.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.status = http.StatusSwitchingProtocols
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
