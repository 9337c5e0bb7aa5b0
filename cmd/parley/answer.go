package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/embedded"
)

// silence is how long an answer may say nothing, not even that it lives, which an
// edge does every 15 s.
const silence = 45 * time.Second

// A connection that held for a while or brought something new begins a new
// outage when it ends, with short pauses; one that did neither does not.
const (
	steady     = 10 * time.Second
	firstPause = 200 * time.Millisecond
)

var (
	errSilent = errors.New("the server has gone silent")
	errEnded  = errors.New("the connection ended before the answer did")
)

// say sends a message and prints its answer as it comes.
func (t *talk) say(ctx context.Context, text string) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	body := map[string]string{"id": id.String(), "message": text, "timezone": time.Local.String()}
	if _, err := time.LoadLocation(body["timezone"]); err != nil || body["timezone"] == "Local" {
		delete(body, "timezone")
	}
	if t.conversation != "" {
		body["conversation_id"] = string(t.conversation)
	}
	p := &printer{out: t.e.stdout, run: make(chan events.RunID, 1)}
	work, cancel := context.WithCancelCause(ctx)
	var stopping sync.WaitGroup
	defer stopping.Wait()
	defer cancel(nil)
	stopping.Go(func() { t.stopOn(work, cancel, p.run) })
	err = left(work, t.follow(work, body, p))
	if p.conversation != "" {
		t.conversation = p.conversation
		fmt.Fprintln(t.e.stdout)
	}
	return err
}

// follow reads the answer to its end. When the connection breaks, it sends the
// message again with the same id: that joins the run where it is, and brings a
// message that never arrived. Of an outage it bears as much as the person said.
func (t *talk) follow(ctx context.Context, body map[string]string, p *printer) error {
	lost, told := time.Now(), false // of the outage that may begin
	for pause := time.Duration(0); ; pause = min(max(2*pause, firstPause), 5*time.Second) {
		begun, before := time.Now(), p.place()
		err := t.listen(ctx, body, p)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if p.place() != before || time.Since(begun) > steady {
			lost, told, pause = time.Now(), false, 0
		}
		switch renew := t.renewable(err); {
		case !t.met && dialing(err):
			return err // a wrong address, most likely
		case !renew && (!passing(err) || !t.met):
			return p.unfinished(err)
		case time.Since(lost) >= t.reconnect:
			return p.unfinished(fmt.Errorf("gave up after %v: %w", t.reconnect, err))
		case !renew && !told:
			told = true
			fmt.Fprintf(t.e.stderr, "\n  (%s; %s)\n", strings.TrimSuffix(trouble(err), "."), p.meanwhile())
		}
		if err := t.again(ctx, pause/2+rand.N(pause/2+1)); err != nil {
			return p.unfinished(err)
		}
	}
}

// again waits and looks anew where Parley is and who we are: a parley dev that was
// started again may have another address, and its tokens are good for minutes.
func (t *talk) again(ctx context.Context, after time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(after):
	}
	a, err := t.client.caller(ctx, t.e)
	if err == nil {
		t.caller.Store(a)
	} else if !passing(err) {
		return err
	}
	return nil // and if it is still away, the next try will tell
}

// renewable reports a token of the dev issuer that has run out.
func (t *talk) renewable(err error) bool {
	s, ok := errors.AsType[*statusError](err)
	return ok && s.code == "token_expired" && t.caller.Load().issued
}

// trouble names a passing error for somebody who waits for an answer.
func trouble(err error) string {
	s, ok := errors.AsType[*statusError](err)
	switch {
	case !ok:
		return "the connection to Parley is lost"
	case s.code == "draining":
		return "this Parley is stopping"
	}
	return strings.TrimSuffix(s.message, ".")
}

// dialing reports that a server was not even connected to.
func dialing(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// passing reports an error that may be another one in a moment.
func passing(err error) bool {
	if s, ok := errors.AsType[*statusError](err); ok {
		switch s.status {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		case 0: // in a stream that had begun
			return s.code == "draining" || s.code == "unavailable" || s.code == "too_many"
		}
		return false
	}
	return errors.As(err, new(awayError)) || errors.Is(err, embedded.ErrNotRunning)
}

// listen sends the message and prints what one connection brings of the answer.
func (t *talk) listen(ctx context.Context, body map[string]string, p *printer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer watchdog.Stop()
	a := t.caller.Load()
	res, err := a.request(ctx, http.MethodPost, "/api/"+a.user+"/chat", body)
	if err == nil {
		defer func() { _ = res.Body.Close() }() // read to its end, or given up
		t.met = true
		err = frames(alive{res.Body, watchdog}, p.frame)
		if err == nil && !p.over {
			err = awayError{errEnded}
		}
	} else if errors.As(err, new(*statusError)) {
		t.met = true
	}
	if errors.Is(context.Cause(ctx), errSilent) {
		err = awayError{errSilent}
	}
	return err
}

// alive keeps a watchdog quiet for as long as there is something to read.
type alive struct {
	r        io.Reader
	watchdog *time.Timer
}

func (a alive) Read(b []byte) (int, error) {
	n, err := a.r.Read(b)
	if n > 0 {
		a.watchdog.Reset(silence)
	}
	return n, err
}

// left turns the error of a chat that the person has left into that.
func left(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errLeft) {
		return errLeft
	}
	return err
}

// stopOn cancels the run at the first interrupt, and gives up waiting at the
// second: there may be nobody to answer.
func (t *talk) stopOn(ctx context.Context, leave context.CancelCauseFunc, run <-chan events.RunID) {
	var asking sync.WaitGroup
	defer asking.Wait()
	var known <-chan events.RunID // nil until the person wants the run to stop
	for interrupts := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-t.interrupt:
			if interrupts++; interrupts == 2 {
				leave(errLeft)
				return
			}
			known = run
		case id := <-known:
			asking.Go(func() { t.stop(ctx, id) })
		}
	}
}

// stop asks Parley to stop a run, again and again while it is away.
func (t *talk) stop(ctx context.Context, id events.RunID) {
	for told := false; ; {
		a := t.caller.Load()
		var out struct{}
		err := a.do(ctx, http.MethodPost, fmt.Sprintf("/api/%s/runs/%s/cancel", a.user, id), struct{}{}, &out)
		if err == nil || ctx.Err() != nil {
			return
		}
		if !passing(err) && !t.renewable(err) {
			fmt.Fprintln(t.e.stderr, "!", err)
			return
		}
		if !told && !errors.Is(err, context.DeadlineExceeded) { // it answers when the run is over
			told = true
			fmt.Fprintf(t.e.stderr, "\n  (it will be asked to stop when Parley is back; Ctrl-C leaves now)\n")
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}
