package edge

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// ssePing is how often a silent stream shows that it lives: proxies cut what is
// silent for a minute.
const ssePing = 15 * time.Second

// A stream is one answer of server-sent events: a reader of one conversation.
type stream struct {
	c   *call
	out outbox
	w   *watch
	// prefix stands before n in the events' ids.
	prefix string
	// refused is why the first catch-up could not be done.
	refused chan *apiError
}

func (c *call) newStream(prefix string) *stream {
	s := &stream{c: c, prefix: prefix, refused: make(chan *apiError, 1)}
	s.out.ready = make(chan struct{}, 1)
	return s
}

// watch places the stream in a conversation. The caller holds the person's lock.
func (s *stream) watch(t *topic, after uint64) {
	s.w = t.watch(&s.out, after, true, func(e *apiError) { s.refused <- e })
	s.out.drained = func() {
		t.p.mu.Lock()
		defer t.p.mu.Unlock()
		s.w.resync()
	}
}

func (s *stream) stop(p *person) {
	p.mu.Lock()
	s.w.stop()
	p.mu.Unlock()
	s.out.close(errClosed)
}

// serve writes frames until last says that one was the last, the client goes,
// or the edge drains. Nothing is written before the first frame is there, so
// that a conversation which does not exist is still a 404.
func (s *stream) serve(last func(*frame) bool) error {
	ping := time.NewTicker(ssePing)
	defer ping.Stop()
	begun := false
	var batch []*frame
	for {
		var err error
		if batch, err = s.out.take(batch[:0]); len(batch) > 0 {
			if !begun {
				s.begin()
				defer s.c.e.metrics.streams.Dec()
				begun = true
			}
			done := false
			var b []byte
			for i, f := range batch {
				b = s.append(b, f)
				if done = last(f); done {
					batch = batch[:i+1]
					break
				}
			}
			if s.write(b, len(batch)) != nil || done {
				return nil
			}
			s.out.done(batch)
			continue
		}
		if err != nil {
			return s.end(begun, &apiError{status: 503, code: codeTooMany, message: "You read too slowly. Resume after the last id."})
		}
		select {
		case <-s.out.ready:
		case e := <-s.refused:
			return s.end(begun, e)
		case <-ping.C:
			if !begun {
				s.begin()
				defer s.c.e.metrics.streams.Dec()
				begun = true
			}
			if s.write([]byte(": ping\n\n"), 0) != nil {
				return nil
			}
		case <-s.c.e.stop:
			return s.end(begun, draining())
		case <-s.c.r.Context().Done():
			return nil
		}
	}
}

func (s *stream) begin() {
	s.c.e.metrics.streams.Inc()
	h := s.c.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	s.c.w.WriteHeader(http.StatusOK)
}

// end tells why the stream ends: as an answer of its own if none has begun.
func (s *stream) end(begun bool, e *apiError) error {
	if !begun {
		return e
	}
	_ = s.write(s.append(nil, errorFrameOf("", "", e)), 1)
	return nil
}

// append adds one frame in the form of an event. Its payload is one line.
func (s *stream) append(b []byte, f *frame) []byte {
	if f.commit != nil {
		b = append(b, "id: "...)
		b = append(b, s.prefix...)
		b = strconv.AppendUint(b, f.n, 10)
		b = append(b, '\n')
	}
	b = append(b, "data: "...)
	for _, c := range f.payload() {
		// A line break in JSON stands between tokens, and would end the line here.
		if c == '\n' || c == '\r' {
			c = ' '
		}
		b = append(b, c)
	}
	return append(b, "\n\n"...)
}

func (s *stream) write(b []byte, frames int) error {
	rc := http.NewResponseController(s.c.w)
	if err := rc.SetWriteDeadline(time.Now().Add(writeWait)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("write stream: %w", err)
	}
	if _, err := s.c.w.Write(b); err != nil {
		return fmt.Errorf("write stream: %w", err)
	}
	if err := rc.Flush(); err != nil {
		return fmt.Errorf("write stream: %w", err)
	}
	s.c.e.metrics.sent(frames, len(b))
	return nil
}
