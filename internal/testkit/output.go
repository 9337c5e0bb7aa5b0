package testkit

import (
	"bytes"
	"context"
	"strings"
	"sync"
)

// An Output collects what a process says, and lets a test wait for words of it.
// The zero Output is ready to be a command's Stdout and Stderr.
type Output struct {
	mu   sync.Mutex
	b    bytes.Buffer
	news chan struct{} // closed when something comes; nil while nobody waits
}

// Write implements io.Writer.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.news != nil {
		close(o.news)
		o.news = nil
	}
	return o.b.Write(b)
}

// String returns what was said so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Await waits until text stands behind the first n bytes, and reports whether it
// does: it gives up when ctx ends, or when done is closed and all has been said.
func (o *Output) Await(ctx context.Context, done <-chan struct{}, n int, text string) bool {
	for {
		o.mu.Lock()
		found := strings.Contains(o.b.String()[n:], text)
		if o.news == nil {
			o.news = make(chan struct{})
		}
		news := o.news
		o.mu.Unlock()
		if found {
			return true
		}
		select {
		case <-news:
		case <-done:
			return strings.Contains(o.String()[n:], text)
		case <-ctx.Done():
			return false
		}
	}
}
