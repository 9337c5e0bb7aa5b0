package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// natsLog gives the server's log to slog. With logging off, a server that
// cannot start only looks slow; so the first error is kept for whoever waits.
type natsLog struct {
	logger *slog.Logger

	mu    sync.Mutex
	err   error         // the first Errorf or Fatalf
	fatal chan struct{} // closed at the first Fatalf
	died  bool
}

func newNATSLog(logger *slog.Logger) *natsLog {
	return &natsLog{logger: logger, fatal: make(chan struct{})}
}

func (l *natsLog) log(level slog.Level, format string, args []any) {
	ctx := context.Background()
	if l.logger.Enabled(ctx, level) {
		l.logger.Log(ctx, level, "nats server", "line", fmt.Sprintf(format, args...))
	}
}

// The server's own levels are one too loud for us: its notices are debugging.

func (l *natsLog) Tracef(string, ...any)             {} // would show payloads
func (l *natsLog) Debugf(format string, args ...any) {}
func (l *natsLog) Noticef(format string, args ...any) {
	l.log(slog.LevelDebug, format, args)
}

// Warnf leaves out the warning about our password: it is random, new at each
// start, and in no file but endpoint.json, which nobody else can read.
func (l *natsLog) Warnf(format string, args ...any) {
	if !strings.HasPrefix(format, "Plaintext passwords detected") {
		l.log(slog.LevelWarn, format, args)
	}
}

func (l *natsLog) Errorf(format string, args ...any) {
	l.log(slog.LevelError, format, args)
	l.keep(fmt.Sprintf(format, args...), false)
}

// Fatalf does not end the process, as the server's own logger would.
func (l *natsLog) Fatalf(format string, args ...any) {
	l.log(slog.LevelError, format, args)
	l.keep(fmt.Sprintf(format, args...), true)
}

func (l *natsLog) keep(text string, fatal bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil || fatal && !l.died {
		l.err = errors.New(text)
	}
	if fatal && !l.died {
		l.died = true
		close(l.fatal)
	}
}

func (l *natsLog) first() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
