package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// summary is the whole check in two numbers.
type summary struct {
	passed int
	failed int
}

// allowedSkips names the tests that may be skipped under --strict, with the
// reason. It is empty, and each entry would need a good one.
func allowedSkips() map[string]string { return map[string]string{} }

// summarize counts. Under --strict everything that was not proven is a failure:
// a phase that did not run, one that ran with less than it should have, a test
// that was skipped.
func summarize(results []result, strict bool) summary {
	var s summary
	allowed := allowedSkips()
	for _, r := range results {
		s.passed += r.passed
		s.failed += len(r.failures)
		if r.state == notRun && strict {
			s.failed++
		}
		if !strict {
			continue
		}
		s.failed += len(r.warnings)
		for _, k := range r.skips {
			if allowed[k.name] == "" {
				s.failed++
			}
		}
	}
	return s
}

// report prints the run: a line as each phase starts and ends, what failed in
// full, and between them what is still running. On a terminal that last line is
// rewritten in place; elsewhere it is printed every half minute.
type report struct {
	mu      sync.Mutex
	w       io.Writer
	tty     bool
	strict  bool
	running []*job
	since   map[*job]time.Time
	drawn   bool // the live line is on the screen
	stop    chan struct{}
	stopped sync.WaitGroup
	shown   int // bytes of failures printed so far
}

// maxShown bounds the failures of one run together: past it, only names.
const maxShown = 512 << 10

func newReport(w io.Writer, tty, strict bool) *report {
	return &report{w: w, tty: tty, strict: strict, since: map[*job]time.Time{}}
}

func (r *report) header(logs string, o options) {
	mode := "a commit's checks"
	if o.full {
		mode = "a commit's checks and the long proofs"
	}
	if o.strict {
		mode += ", strict"
	}
	fmt.Fprintf(r.w, "Parley: %s. Logs: %s\n", mode, logs)
	period := 30 * time.Second
	if r.tty {
		period = time.Second
	}
	r.stop = make(chan struct{})
	r.stopped.Go(func() { r.live(period) })
}

func (r *report) live(period time.Duration) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-tick.C:
			r.mu.Lock()
			r.draw()
			r.mu.Unlock()
		}
	}
}

func (r *report) draw() {
	if len(r.running) == 0 {
		return
	}
	var parts []string
	for _, j := range r.running {
		part := fmt.Sprintf("%s %s", j.phase.name, seconds(time.Since(r.since[j])))
		if p := j.now(); p != "" {
			part += " (" + p + ")"
		}
		parts = append(parts, part)
	}
	line := "…  " + strings.Join(parts, ", ")
	if r.tty {
		fmt.Fprintf(r.w, "\r\x1b[K%s", line)
		r.drawn = true
		return
	}
	fmt.Fprintln(r.w, line)
}

func (r *report) clear() {
	if r.drawn {
		fmt.Fprint(r.w, "\r\x1b[K")
		r.drawn = false
	}
}

func (r *report) started(j *job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running = append(r.running, j)
	r.since[j] = time.Now()
	if !r.tty {
		fmt.Fprintf(r.w, "start    %-14s %s\n", j.phase.name, j.phase.what)
	}
}

func (r *report) ended(res result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clear()
	r.running = slices.DeleteFunc(r.running, func(j *job) bool { return j.phase.name == res.phase.name })
	fmt.Fprintln(r.w, resultLine(res))
	for _, n := range res.notes {
		fmt.Fprintln(r.w, "         "+n)
	}
	for _, w := range res.warnings {
		r.shout(res.phase.name + ": " + w)
	}
	if res.state == notRun {
		r.shout(res.phase.name + " did not run: " + res.reason)
	}
	for _, f := range res.failures {
		if r.shown > maxShown {
			fmt.Fprintf(r.w, "--- %s (see %s)\n", f.name, res.logFile)
			continue
		}
		detail := bounded(strings.Trim(f.detail, "\n"), maxDetail)
		r.shown += len(detail)
		fmt.Fprintf(r.w, "--- %s\n%s\n", f.name, indent(detail))
	}
	if len(res.failures) > 0 {
		fmt.Fprintf(r.w, "--- whole log: %s\n", res.logFile)
	}
}

// loud prints a line that must not be overlooked.
func (r *report) loud(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shout(line)
}

func (r *report) shout(line string) {
	r.clear()
	fmt.Fprintf(r.w, "!!!!!!!! %s\n", line)
}

// summary repeats, below everything, what each phase came to and what was not
// proven.
func (r *report) summary(results []result, sum summary, took time.Duration) {
	if r.stop != nil {
		close(r.stop)
		r.stopped.Wait()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clear()
	fmt.Fprintf(r.w, "\n%s in %s\n", count(len(results), "phase"), seconds(took))
	for _, res := range results {
		fmt.Fprintln(r.w, "  "+resultLine(res))
	}
	for _, line := range unproven(results) {
		fmt.Fprintln(r.w, "!!!!!!!! "+line)
	}
	if sum.failed > 0 {
		fmt.Fprintln(r.w, "\nFailed:")
		for _, res := range results {
			for _, f := range res.failures {
				fmt.Fprintf(r.w, "  %s: %s\n", res.phase.name, f.name)
			}
		}
		if r.strict {
			fmt.Fprintln(r.w, "  and, under --strict, every line marked !!!!!!!! above")
		}
	}
}

// unproven lists what a reader must not take for proven.
func unproven(results []result) []string {
	var lines []string
	for _, res := range results {
		if res.state == notRun {
			lines = append(lines, res.phase.name+" did not run: "+res.reason)
		}
		for _, w := range res.warnings {
			lines = append(lines, res.phase.name+": "+w)
		}
		for _, k := range res.skips {
			lines = append(lines, fmt.Sprintf("%s: skipped %s: %s", res.phase.name, k.name, k.detail))
		}
	}
	return lines
}

// closing prints the last line of the run.
func (r *report) closing(s summary) {
	fmt.Fprintf(r.w, "%d passed, %d failed\n", s.passed, s.failed)
}

func resultLine(r result) string {
	line := fmt.Sprintf("%-8s %-14s %8s", r.state, r.phase.name, seconds(r.took))
	if r.state == notRun {
		return line
	}
	line += fmt.Sprintf("  %d passed", r.passed)
	if n := len(r.failures); n > 0 {
		line += fmt.Sprintf(", %d failed", n)
	}
	if n := len(r.skips); n > 0 {
		line += fmt.Sprintf(", %d skipped", n)
	}
	return line
}

func printTable(w io.Writer, table []phase) {
	for _, p := range table {
		when := ""
		if p.full {
			when = " (--full)"
		}
		fmt.Fprintf(w, "%-14s %s%s\n", p.name, p.what, when)
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(s, "\n", "\n    ")
}
