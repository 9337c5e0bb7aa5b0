package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// A stop cuts the model's request within a second, from any edge and whichever
// worker streams: three do here, and each answer is stopped by the edge at which
// nobody reads it.
func TestStopFromTheOtherEdge(t *testing.T) {
	t.Parallel()
	const workers, each, rounds = 3, 2, 2
	ctx := testkit.Context(t)
	model := testkit.NewModel(t, func(_ int, req testkit.ModelRequest) testkit.ModelReply {
		if _, title := said(req); title {
			return testkit.ModelReply{Text: []string{"A title"}}
		}
		gate := make(chan struct{}, 1)
		gate <- struct{}{} // for the first word; the second never comes
		return testkit.ModelReply{Text: []string{"one ", "two"}, Gate: gate}
	})
	d := deploy(ctx, t, testkit.StartNATS(t).URL(), testkit.Postgres(t), model.URL)
	var edges []*caller
	for range 2 {
		edges = append(edges, &caller{url: "http://" + addrOf(d.start(ctx, "edge")), user: "ana", token: d.token("ana")})
	}
	for range workers {
		d.start(ctx, "agentworker", fmt.Sprintf("--slots=%d", each+1)) // one is for results: no worker writes more than its share
	}
	fastest := map[string]time.Duration{}
	for round := range rounds {
		here, there := edges[round%2], edges[(round+1)%2]
		var list []*stopping
		for i := range workers * each {
			s := &stopping{message: fmt.Sprintf("message %d of round %d", i, round), streams: make(chan struct{}), over: make(chan error, 1)}
			go func() { s.over <- s.read(ctx, here) }()
			list = append(list, s)
		}
		for _, s := range list {
			select {
			case <-s.streams:
			case err := <-s.over:
				t.Fatalf("%s: %v", s.message, err)
			case <-ctx.Done():
				t.Fatalf("%s is not being answered", s.message)
			}
		}
		answers := map[string]int{}
		for _, s := range list {
			answers[s.worker]++
			begun := time.Now()
			var told struct {
				Status  events.Status
				Receipt events.Receipt
			}
			asked := make(chan error, 1)
			go func() {
				asked <- there.do(ctx, http.MethodPost, fmt.Sprintf("/api/ana/runs/%s/cancel?conversation_id=%s", s.run, s.conversation), nil, &told)
			}()
			var took time.Duration
			select {
			case n := <-model.Cut():
				took = time.Since(begun)
				if text, _ := said(model.Requests()[n]); text != s.message {
					t.Fatalf("%s was stopped, and %s was cut", s.message, text)
				}
			case <-ctx.Done():
				t.Fatalf("the model goes on with %s", s.message)
			}
			if err := <-asked; err != nil || told.Status != events.Cancelled || told.Receipt.Text != "one " {
				t.Errorf("%s: the other edge answers %+v: %v", s.message, told, err)
			}
			if err := <-s.over; err != nil {
				t.Errorf("%s: %v", s.message, err)
			}
			// A worker looks at the log every five seconds anyhow: by then it is no signal.
			if took > 4*time.Second {
				t.Errorf("%s: the request was cut after %v", s.message, took)
			}
			if best, ok := fastest[s.worker]; !ok || took < best {
				fastest[s.worker] = took
			}
		}
		if len(answers) != workers {
			t.Errorf("not all of %d workers wrote answers: %v", workers, answers)
		}
	}
	t.Logf("cut at best after %v", fastest)
	for worker, took := range fastest { // of some tries: the machine may be busy
		if took > time.Second {
			t.Errorf("no request of %s was cut within a second, the fastest after %v", worker, took)
		}
	}
}

// A stopping is an answer that is going to be stopped.
type stopping struct {
	message string
	streams chan struct{} // closed when its first word has come
	over    chan error
	// Valid once it streams.
	worker       string
	conversation events.ConversationID
	run          events.RunID
}

// read sends the message and reads the answer until it is stopped.
func (s *stopping) read(ctx context.Context, at *caller) error {
	res, err := at.request(ctx, http.MethodPost, "/api/ana/chat", map[string]string{"message": s.message})
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // read as far as it is needed
	end := errors.New("the answer ended without a stop")
	var draft events.Draft
	started := sync.OnceFunc(func() { close(s.streams) })
	err = frames(res.Body, func(f frame) (bool, error) {
		switch f.Type {
		case "accepted":
			s.conversation, s.run = f.ConversationID, f.RunID
		case "delta":
			d, err := events.DecodeDelta(f.raw)
			if err != nil {
				return false, err
			}
			draft.Add(d)
		case "snapshot": // the word was there before the reader
			w, err := events.DecodeSnapshot(f.raw)
			if err != nil {
				return false, err
			}
			draft.Set(w)
		case "commit":
			c, err := events.DecodeCommit(f.Commit)
			if err != nil {
				return false, err
			}
			for _, e := range c.Events {
				switch e := e.(type) {
				case events.StepStarted:
					s.worker = e.Worker
				case events.RunCancelled:
					if end = nil; e.Receipt.Text != "one " {
						end = fmt.Errorf("the receipt says %+v", e.Receipt)
					}
				}
			}
		}
		if string(draft.Text) == "one " {
			started()
		}
		return true, nil
	})
	return errors.Join(err, end)
}
