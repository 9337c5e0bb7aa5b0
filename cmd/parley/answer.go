package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/parleychat/parley/events"
)

// silence is how long an answer may say nothing, not even that it lives, which an
// edge does every 15 s.
const silence = 45 * time.Second

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
	for o := beginAbsence(); ; {
		begun, before := time.Now(), p.place()
		err := t.listen(ctx, body, p)
		if err == nil || ctx.Err() != nil {
			return err
		}
		o.tried(begun, p.place() != before)
		switch renew := t.caller.Load().renewable(err); {
		case !t.met && dialing(err):
			return err // a wrong address, most likely
		case !renew && (!passing(err) || !t.met):
			return p.unfinished(err)
		case time.Since(o.lost) >= t.reconnect:
			return p.unfinished(fmt.Errorf("gave up after %v: %w", t.reconnect, err))
		case !renew && !o.told:
			o.told = true
			fmt.Fprintf(t.e.stderr, "\n  (%s; %s)\n", strings.TrimSuffix(trouble(err), "."), p.meanwhile())
		}
		switch a, err := t.client.again(ctx, t.e, o.pause()); {
		case err != nil:
			return p.unfinished(err)
		case a != nil:
			t.caller.Store(a)
		}
	}
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
		if !passing(err) && !a.renewable(err) {
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
