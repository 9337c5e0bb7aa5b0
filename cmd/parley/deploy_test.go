package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parleychat/parley/internal/testkit"
)

// A whole deployment is replaced while two hundred answers are being written:
// nobody reads less, nobody reads anything twice, no request fails.
func TestDeployInMidSentence(t *testing.T) {
	t.Parallel()
	const answers, pieces = 200, 150
	ctx := testkit.Context(t)
	nats := testkit.StartNATS(t)
	begun, finish := make(chan string, 2*answers), make(chan struct{})
	model := testkit.NewModel(t, func(_ int, req testkit.ModelRequest) testkit.ModelReply {
		key, title := said(req)
		if title {
			return testkit.ModelReply{Text: []string{"A title"}}
		}
		if strings.HasPrefix(key, "short") {
			return testkit.ModelReply{Text: words(key, 3)}
		}
		begun <- key
		return testkit.ModelReply{Text: words(key, pieces), Gate: paced(ctx, 200*time.Millisecond, finish)}
	})
	d := deploy(ctx, t, nats.URL(), testkit.Postgres(t), model.URL)
	grace := "--grace=45s" // longer than the answers take: nothing may begin again
	var old []*process
	for range 3 {
		old = append(old, d.start(ctx, "agentworker", grace))
	}
	for _, role := range []string{"edge", "edge", "toolworker", "toolworker", "recorder"} {
		old = append(old, d.start(ctx, role))
	}

	readers := make([]*reader, answers)
	var reading sync.WaitGroup
	failed := make(chan error, answers)
	for i := range readers {
		key := fmt.Sprintf("q%d", i)
		r := d.reader(fmt.Sprintf("person%d", i%20), key, key, strings.Join(words(key, pieces), ""))
		readers[i] = r
		read := r.read(i)
		reading.Go(func() {
			if err := read(ctx); err != nil {
				failed <- err
			}
		})
	}
	for range answers {
		select {
		case <-begun:
		case err := <-failed:
			t.Fatal(err)
		case <-ctx.Done():
			t.Fatal("not every answer begins")
		}
	}
	stop := []func(){d.callByHand(ctx, 2), d.newcomers(ctx, 6)}

	d.replace(ctx, old, grace)
	if n := len(model.Cut()); n != 0 {
		t.Errorf("%d model calls were cut", n)
	}
	for _, f := range stop {
		f()
	}
	close(finish)
	reading.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	for _, p := range old {
		d.wait(ctx, p, exitDone)
	}
	moves := 0
	for _, r := range readers {
		moves += r.moves
		if r.restarts != 0 {
			t.Errorf("%s began again %d times", r.id, r.restarts)
		}
	}
	if moves < answers {
		t.Errorf("%d moves of %d clients: the edges were not in use", moves, answers)
	}
	for key, n := range asked(model) {
		if n != 1 {
			t.Errorf("the model was asked %d times for %s", n, key)
		}
	}
}

// asked counts the model's calls by what the person said.
func asked(m *testkit.Model) map[string]int {
	n := map[string]int{}
	for _, req := range m.Requests() {
		if key, title := said(req); !title {
			n[key]++
		}
	}
	return n
}

// replace does what a rolling deploy does: for each process a new one, and when
// that has begun, the old one's stop signal. It waits for the end of those that
// hold no answers.
func (d *deployment) replace(ctx context.Context, old []*process, grace string) {
	d.t.Helper()
	for _, p := range old {
		role := p.cmd.Args[1]
		switch role {
		case "agentworker":
			d.start(ctx, role, grace)
			d.term(p)
		case "recorder": // the new one waits for the old one's lock
			next := d.begin(role)
			d.term(p)
			next.expect(ctx, ready[role])
		case "edge":
			d.start(ctx, role)
			d.term(p)
			d.probe(ctx, p)
			d.wait(ctx, p, exitDone)
		default:
			d.start(ctx, role)
			d.term(p)
			d.wait(ctx, p, exitDone)
		}
	}
}

// callByHand has people add tasks and list them, as fast as they are answered,
// until stop is called; that checks that each call had its one effect.
func (d *deployment) callByHand(ctx context.Context, people int) (stop func()) {
	d.t.Helper()
	over := make(chan struct{})
	var calling sync.WaitGroup
	for i := range people {
		r := d.reader(fmt.Sprintf("hand%d", i), "", "", "")
		calling.Go(func() {
			for n := 1; n <= 500; n++ { // as many as one page shows
				if err := r.addTask(ctx, fmt.Sprintf("h%d-%d", i, n)); err != nil {
					d.t.Errorf("call %d by hand: %v", n, err)
					return
				}
				tasks, err := r.tasks(ctx)
				if err != nil || len(tasks) != n {
					d.t.Errorf("%d calls by hand made %d tasks: %v", n, len(tasks), err)
					return
				}
				select {
				case <-over:
					d.t.Logf("%s made %d calls by hand", r.user, n)
					return
				default:
				}
			}
		})
	}
	stop = sync.OnceFunc(func() { close(over); calling.Wait() })
	d.t.Cleanup(stop)
	return stop
}

// newcomers has people begin new conversations, each on connections of its own,
// until stop is called.
func (d *deployment) newcomers(ctx context.Context, people int) (stop func()) {
	d.t.Helper()
	over := make(chan struct{})
	var coming sync.WaitGroup
	for i := range people {
		coming.Go(func() {
			for n := 1; ; n++ {
				key := fmt.Sprintf("short%d-%d", i, n)
				r := d.reader(fmt.Sprintf("new%d", i), key, key, strings.Join(words(key, 3), ""))
				transport := &http.Transport{DisableKeepAlives: true}
				r.http = &http.Client{Transport: transport}
				if err := r.read(i)(ctx); err != nil {
					d.t.Error(err)
					return
				}
				select {
				case <-over:
					d.t.Logf("%s began %d conversations", r.user, n)
					return
				default:
				}
			}
		})
	}
	stop = sync.OnceFunc(func() { close(over); coming.Wait() })
	d.t.Cleanup(stop)
	return stop
}

// addTask makes a call by hand, with the same id until it is answered.
func (r *reader) addTask(ctx context.Context, id string) error {
	return r.until(ctx, func(ctx context.Context) error {
		body := map[string]any{"id": id, "name": "add_task", "arguments": map[string]string{"title": id}}
		res, err := r.call(ctx, http.MethodPost, r.api("/tool_calls"), "application/json", body, "Idempotency-Key", id)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }() // read to its end
		var out struct {
			OK bool `json:"ok"`
		}
		switch err := decode(res, &out); {
		case err != nil:
			return err
		case res.StatusCode == http.StatusAccepted:
			return errMoved
		case !out.OK:
			return fmt.Errorf("%s was not carried out", id)
		}
		return nil
	})
}

// tasks lists the titles of the person's tasks.
func (r *reader) tasks(ctx context.Context) (titles []string, err error) {
	err = r.until(ctx, func(ctx context.Context) error {
		res, err := r.call(ctx, http.MethodGet, r.api("/tasks?limit=500"), "application/json", nil)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }() // read to its end
		var out struct {
			Data []struct{ Title string } `json:"data"`
		}
		titles = nil
		if err := decode(res, &out); err != nil {
			return err
		}
		for _, t := range out.Data {
			titles = append(titles, t.Title)
		}
		return nil
	})
	return titles, err
}

// Answers that are longer than the grace go to another worker, which begins
// them again: they cost a second model call and still end, once.
func TestDeployHandsLongAnswersOver(t *testing.T) {
	t.Parallel()
	const answers, pieces = 24, 400
	ctx := testkit.Context(t)
	nats := testkit.StartNATS(t)
	begun, finish := make(chan string, 8*answers), make(chan struct{})
	model := testkit.NewModel(t, func(_ int, req testkit.ModelRequest) testkit.ModelReply {
		key, title := said(req)
		if title {
			return testkit.ModelReply{Text: []string{"A title"}}
		}
		begun <- key
		return testkit.ModelReply{Text: words(key, pieces), Gate: paced(ctx, 100*time.Millisecond, finish)}
	})
	d := deploy(ctx, t, nats.URL(), testkit.Postgres(t), model.URL)
	d.start(ctx, "edge")
	d.start(ctx, "edge")
	d.start(ctx, "recorder")
	workers := []*process{d.start(ctx, "agentworker", "--grace=1s"), d.start(ctx, "agentworker", "--grace=1s")}
	var reading sync.WaitGroup
	readers := make([]*reader, answers)
	for i := range readers {
		key := fmt.Sprintf("q%d", i)
		r := d.reader(fmt.Sprintf("person%d", i), key, key, strings.Join(words(key, pieces), ""))
		readers[i] = r
		read := r.read(i)
		reading.Go(func() {
			if err := read(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	await := func() {
		for range answers {
			select {
			case <-begun:
			case <-ctx.Done():
				t.Fatal("not every answer begins")
			}
		}
	}
	await()
	next := []*process{d.start(ctx, "agentworker"), d.start(ctx, "agentworker")}
	for _, p := range workers {
		d.term(p)
	}
	since := time.Now()
	for _, p := range workers {
		d.wait(ctx, p, exitDone)
	}
	// The grace, and what a loaded machine needs to say goodbye.
	if took := time.Since(since); took > 6*time.Second {
		t.Errorf("workers with a grace of one second needed %v to end", took)
	}
	await()
	close(finish)
	reading.Wait()
	for _, r := range readers {
		if r.fold != nil && r.restarts != 1 {
			t.Errorf("%s began again %d times", r.id, r.restarts)
		}
	}
	for key, n := range asked(model) {
		if n != 2 {
			t.Errorf("the model was asked %d times for %s", n, key)
		}
	}
	for _, p := range next {
		d.term(p)
		d.wait(ctx, p, exitDone)
	}
}

// However often its worker is replaced, an answer ends: to be handed over is no failure.
func TestDeployAgainAndAgainInOneAnswer(t *testing.T) {
	t.Parallel()
	const deploys = 4 // more than a step may fail
	ctx := testkit.Context(t)
	finish := make(chan struct{})
	model := obedient(ctx, t, finish)
	d := deploy(ctx, t, testkit.StartNATS(t).URL(), testkit.Postgres(t), model.URL)
	d.start(ctx, "edge")
	worker := d.start(ctx, "agentworker", "--grace=100ms")
	var reading sync.WaitGroup
	readers := make([]*reader, 3)
	for i := range readers {
		r := d.asks("ana", fmt.Sprintf("long %d", i))
		readers[i] = r
		read := r.read(i)
		reading.Go(func() {
			if err := read(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	begun := func(times int) {
		t.Helper()
		eventually(ctx, t, func(context.Context) error {
			n := asked(model)
			for _, r := range readers {
				if n[r.message] < times {
					return fmt.Errorf("%s has begun %d times, not yet %d", r.message, n[r.message], times)
				}
			}
			return nil
		})
	}
	begun(1)
	for i := range deploys {
		next := d.start(ctx, "agentworker", "--grace=100ms")
		d.term(worker)
		d.wait(ctx, worker, exitDone)
		worker = next
		begun(2 + i)
	}
	close(finish)
	reading.Wait()
}
