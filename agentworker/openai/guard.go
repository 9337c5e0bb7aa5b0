package openai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Bounds of a response; go-openai reads whole lines without any.
const (
	maxBody = 16 << 20
	maxLine = 1 << 20
)

var (
	errTooLong = errors.New("response over its bound")
	errSilent  = errors.New("no byte within the time allowed")
	// A redirect would carry the key and the conversation to another host.
	errRedirect = errors.New("the model server answers with a redirect")
)

// A response is what go-openai's errors leave out. It travels in the request's
// context, and brings along the body to send in place of go-openai's own.
type response struct {
	body []byte

	mu         sync.Mutex
	status     int
	retryAfter time.Duration
	err        error
}

type responseKey struct{}

func (r *response) set(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

func (r *response) cause() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// A guard is the transport under go-openai: it keeps status and Retry-After,
// bounds lines, body and silence.
type guard struct {
	next            http.RoundTripper
	firstByte, idle time.Duration
}

// instead returns req with the body of ours. It leaves req as it is, but for its
// body, which a RoundTripper closes.
func (r *response) instead(req *http.Request) *http.Request {
	if r.body == nil {
		return req
	}
	if req.Body != nil {
		_ = req.Body.Close() // it is memory
	}
	out := req.Clone(req.Context())
	out.ContentLength = int64(len(r.body))
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.body)), nil }
	out.Body, _ = out.GetBody() // it has no error
	return out
}

// RoundTrip implements [http.RoundTripper].
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	note, ok := req.Context().Value(responseKey{}).(*response)
	if !ok {
		note = &response{}
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	silence := time.AfterFunc(g.firstByte, func() {
		note.set(errSilent)
		cancel(errSilent)
	})
	res, err := g.next.RoundTrip(note.instead(req).WithContext(ctx))
	if err != nil {
		silence.Stop()
		cancel(nil)
		return nil, err
	}
	note.status = res.StatusCode
	if res.StatusCode >= 300 && res.StatusCode < 400 {
		// go-openai would read a redirect's body as a stream.
		silence.Stop()
		cancel(nil)
		return nil, errors.Join(errRedirect, res.Body.Close())
	}
	note.retryAfter = retryAfter(res.Header.Get("Retry-After"), time.Now())
	res.Body = &body{ReadCloser: res.Body, note: note, silence: silence, idle: g.idle, cancel: cancel}
	return res, nil
}

// retryAfter reads both forms of RFC 9110 §10.2.3; anything else is 0.
func retryAfter(v string, now time.Time) time.Duration {
	if s, err := strconv.Atoi(v); err == nil {
		return time.Duration(max(0, min(s, 3600))) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

type body struct {
	io.ReadCloser
	note    *response
	silence *time.Timer
	idle    time.Duration
	cancel  context.CancelCauseFunc
	total   int
	line    int
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.silence.Reset(b.idle)
	b.total += n
	for _, c := range p[:n] {
		b.line++
		if c == '\n' {
			b.line = 0
		}
		if b.line > maxLine {
			break
		}
	}
	if b.total > maxBody || b.line > maxLine {
		b.note.set(errTooLong)
		return 0, fmt.Errorf("%w: %d bytes, line of %d", errTooLong, b.total, b.line)
	}
	return n, err
}

// Close implements [io.Closer].
func (b *body) Close() error {
	b.silence.Stop()
	b.cancel(nil)
	return b.ReadCloser.Close()
}
