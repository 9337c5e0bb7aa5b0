package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// scene runs a table of phases whose ends the test decides on.
type scene struct {
	mu       sync.Mutex
	order    []string
	running  map[string]bool
	together [][]string // who ran whenever a phase started
	started  chan string
	release  map[string]chan error
}

func newScene(names ...string) *scene {
	s := &scene{running: map[string]bool{}, started: make(chan string, len(names)), release: map[string]chan error{}}
	for _, n := range names {
		s.release[n] = make(chan error, 1)
	}
	return s
}

func (s *scene) run(ctx context.Context, j *job) error {
	name := j.phase.name
	s.mu.Lock()
	s.order = append(s.order, name)
	s.running[name] = true
	s.together = append(s.together, sortedKeys(s.running))
	s.mu.Unlock()
	s.started <- name
	defer func() {
		s.mu.Lock()
		delete(s.running, name)
		s.mu.Unlock()
	}()
	select {
	case err := <-s.release[name]:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *scene) wait(t *testing.T, names ...string) {
	t.Helper()
	var got []string
	for range names {
		select {
		case n := <-s.started:
			got = append(got, n)
		case <-time.After(10 * time.Second):
			t.Fatalf("started %v, want %v", got, names)
		}
	}
	slices.Sort(got)
	slices.Sort(names)
	if !slices.Equal(got, names) {
		t.Fatalf("started %v, want %v", got, names)
	}
}

// begin validates and schedules a table in the background.
func begin(ctx context.Context, t *testing.T, table []phase) <-chan []result {
	t.Helper()
	for i := range table {
		table[i].what = "a test's phase"
	}
	if err := validate(table); err != nil {
		t.Fatal(err)
	}
	done := make(chan []result, 1)
	ws := &workspace{logs: t.TempDir()}
	go func() { done <- schedule(ctx, table, 2, env{ws: ws}, newReport(io.Discard, false, false)) }()
	return done
}

func TestScheduleTwoAtATimeInOrder(t *testing.T) {
	t.Parallel()
	s := newScene("a", "b", "c", "d")
	done := begin(t.Context(), t, []phase{
		{name: "a", run: s.run},
		{name: "b", run: s.run, needs: []string{"a"}},
		{name: "c", run: s.run},
		{name: "d", run: s.run},
	})
	s.wait(t, "a", "c") // b has to wait for a, so c overtakes it; d finds no slot
	s.release["a"] <- nil
	s.wait(t, "b") // b stands before d
	s.release["c"] <- nil
	s.wait(t, "d")
	s.release["b"] <- nil
	s.release["d"] <- nil
	for _, r := range <-done {
		if r.state != passed || r.passed != 1 {
			t.Errorf("%s: %v, %d passed", r.phase.name, r.state, r.passed)
		}
	}
	for _, at := range s.together {
		if len(at) > 2 {
			t.Errorf("%v ran at once", at)
		}
	}
}

func TestScheduleAlone(t *testing.T) {
	t.Parallel()
	s := newScene("a", "b", "solo", "c")
	done := begin(t.Context(), t, []phase{
		{name: "a", run: s.run},
		{name: "b", run: s.run},
		{name: "solo", run: s.run, alone: true},
		{name: "c", run: s.run},
	})
	s.wait(t, "a", "b")
	s.release["a"] <- nil // a free slot, but c may not overtake solo, and solo not join b
	s.release["b"] <- nil
	s.wait(t, "solo")
	s.release["solo"] <- nil
	s.wait(t, "c")
	s.release["c"] <- nil
	<-done
	for _, at := range s.together {
		if len(at) > 1 && slices.Contains(at, "solo") {
			t.Errorf("solo ran with %v", at)
		}
	}
}

func TestScheduleAfterFailure(t *testing.T) {
	t.Parallel()
	s := newScene("install", "types", "size", "tests")
	done := begin(t.Context(), t, []phase{
		{name: "install", run: s.run},
		{name: "types", run: s.run, needs: []string{"install"}},
		{name: "size", run: s.run, needs: []string{"types"}},
		{name: "tests", run: s.run, after: []string{"install"}},
	})
	s.wait(t, "install")
	s.release["install"] <- errors.New("registry away")
	s.wait(t, "tests") // it only had to wait
	s.release["tests"] <- nil
	results := <-done
	want := []state{failed, notRun, notRun, passed}
	for i, r := range results {
		if r.state != want[i] {
			t.Errorf("%s: %v, want %v", r.phase.name, r.state, want[i])
		}
	}
	if got := results[2].reason; !strings.Contains(got, "types") {
		t.Errorf("size did not run because %q", got)
	}
	if got := summarize(results, false); got != (summary{1, 1}) {
		t.Errorf("summary = %+v", got)
	}
	if got := summarize(results, true); got != (summary{1, 3}) {
		t.Errorf("strict summary = %+v", got)
	}
}

func TestScheduleInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := newScene("a", "b")
	done := begin(ctx, t, []phase{
		{name: "a", run: s.run},
		{name: "b", run: s.run, needs: []string{"a"}},
	})
	s.wait(t, "a")
	cancel()
	results := <-done
	if sum := summarize(results, false); sum.failed != 2 || sum.passed != 0 {
		t.Errorf("an interrupted check counts %+v", sum)
	}
}

func TestExecuteTimeout(t *testing.T) {
	t.Parallel()
	s := newScene("slow")
	j := &job{phase: phase{name: "slow", timeout: time.Millisecond, run: s.run}}
	r := execute(t.Context(), j, t.TempDir()+"/log")
	if r.state != failed || !strings.Contains(r.failures[0].detail, "took longer than 1ms") {
		t.Errorf("%v %v", r.state, r.failures)
	}
}

func TestValidateFindsMistakes(t *testing.T) {
	t.Parallel()
	run := func(context.Context, *job) error { return nil }
	tests := []struct {
		name  string
		table []phase
		want  string
	}{
		{"twice", []phase{{name: "a", what: "w", run: run}, {name: "a", what: "w", run: run}}, "twice"},
		{"nothing to run", []phase{{name: "a", what: "w"}}, "incomplete"},
		{"unknown need", []phase{{name: "a", what: "w", run: run, needs: []string{"b"}}}, `needs "b"`},
		{"a later need", []phase{{name: "a", what: "w", run: run, after: []string{"b"}}, {name: "b", what: "w", run: run}}, `needs "b"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := validate(tt.table); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("validate = %v, want %q in it", err, tt.want)
			}
		})
	}
	if err := validate(phases()); err != nil {
		t.Errorf("the real table: %v", err)
	}
}

func TestFinish(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		job  *job
		err  error
		want state
		pass int
		fail int
	}{
		{"a plain phase counts as one", &job{}, nil, passed, 1, 0},
		{"a counting phase counts itself", &job{passed: 7}, nil, passed, 7, 0},
		{"a plain failure counts as one", &job{}, errors.New("no"), failed, 0, 1},
		{"failures count one each", &job{passed: 5, failures: []entry{{"a", ""}, {"b", ""}}}, errors.New("exit 1"), failed, 5, 2},
		{"failures fail the phase even if its command did not", &job{passed: 5, failures: []entry{{"a", ""}}}, nil, failed, 5, 1},
		{"an error after passes is a failure", &job{passed: 5}, errors.New("exit 1"), failed, 5, 1},
		{"unavailable", &job{}, unavailable{"no browser"}, notRun, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := tt.job.finish(tt.err, time.Second, "log")
			if r.state != tt.want || r.passed != tt.pass || len(r.failures) != tt.fail {
				t.Errorf("%v, %d passed, failures %v", r.state, r.passed, r.failures)
			}
		})
	}
}

func TestSummarizeStrict(t *testing.T) {
	t.Parallel()
	results := []result{
		{state: passed, passed: 10, skips: []entry{{"x.TestMoon", "no moon"}}},
		{state: passed, passed: 3, warnings: []string{"no race detector"}},
		{state: notRun, reason: "no browser"},
		{state: failed, passed: 1, failures: []entry{{"a", ""}, {"b", ""}}},
	}
	if got, want := summarize(results, false), (summary{14, 2}); got != want {
		t.Errorf("summary = %+v, want %+v", got, want)
	}
	if got, want := summarize(results, true), (summary{14, 5}); got != want {
		t.Errorf("strict summary = %+v, want %+v", got, want)
	}
}

func TestReportSaysWhatIsNotProven(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	rep := newReport(&out, false, true)
	results := []result{
		{phase: phase{name: "test"}, state: passed, passed: 10, skips: []entry{{"x.TestMoon", "no moon"}}, warnings: []string{"WITHOUT race"}},
		{phase: phase{name: "e2e"}, state: notRun, reason: "no browser"},
		{phase: phase{name: "vet"}, state: failed, failures: []entry{{"vet", strings.Repeat("a long line\n", 1<<13)}}, logFile: "vet.log"},
	}
	for _, r := range results {
		rep.ended(r)
	}
	sum := summarize(results, true)
	rep.summary(results, sum, time.Minute)
	rep.closing(sum)
	got := out.String()
	for _, want := range []string{
		"!!!!!!!! test: WITHOUT race", "!!!!!!!! e2e did not run: no browser", "!!!!!!!! test: skipped x.TestMoon: no moon",
		"bytes left out", "whole log: vet.log", "  vet: vet\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if len(got) > 2*maxDetail {
		t.Errorf("the report has %d bytes", len(got))
	}
	if !strings.HasSuffix(got, "\n10 passed, 4 failed\n") {
		t.Errorf("the report ends with %q", got[max(0, len(got)-60):])
	}
}
