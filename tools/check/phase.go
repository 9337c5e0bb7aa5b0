package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// A phase is one row of the table: one thing that guards a commit.
type phase struct {
	name    string        // short and unique, for --only and the log's file name
	what    string        // one line for --list and the summary
	needs   []string      // earlier phases whose success this one builds on
	after   []string      // earlier phases that must have ended, however they did
	full    bool          // only with --full
	alone   bool          // measures time, or uses every core by itself
	timeout time.Duration // 0 means defaultTimeout
	run     func(context.Context, *job) error
}

const (
	slots          = 2
	defaultTimeout = 10 * time.Minute
)

// env is what every phase of one run shares.
type env struct {
	ws   *workspace
	kit  *kit
	opts options
}

// unavailable is the error of a phase that could not run at all, through no
// fault of the tree under check.
type unavailable struct{ reason string }

func (u unavailable) Error() string { return u.reason }

// entry is one test or phase that failed or was skipped.
type entry struct {
	name   string
	detail string // output of a failure, reason of a skip
}

// job is one run of one phase: where it reports to and what it may ask for.
// Its methods may be called from several goroutines.
type job struct {
	env
	phase phase
	log   io.Writer // everything the phase's commands print
	tail  *tail     // the last of the same, for the report

	mu       sync.Mutex
	passed   int
	failures []entry
	skips    []entry
	warnings []string
	notes    []string
	tables   []table
	progress string
}

// A table is what a phase found out piece by piece, for the proof.
type table struct {
	title string
	head  []string
	rows  [][]string
}

func (j *job) pass(n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.passed += n
}

func (j *job) fail(name, detail string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failures = append(j.failures, entry{name, detail})
}

func (j *job) skip(name, reason string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.skips = append(j.skips, entry{name, reason})
}

// warn says that the phase ran, but proved less than it should. Under --strict
// that is a failure.
func (j *job) warn(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.warnings = append(j.warnings, line)
}

// note keeps a figure that the phase measured, for the report.
func (j *job) note(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.notes = append(j.notes, line)
}

// show keeps a table for the proof.
func (j *job) show(t table) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tables = append(j.tables, t)
}

// at sets what the live line says of this phase.
func (j *job) at(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress = fmt.Sprintf(format, args...)
}

func (j *job) now() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.progress
}

// state is how a phase ended.
type state int

const (
	passed state = iota
	failed
	notRun
)

func (s state) String() string { return [...]string{"ok", "FAIL", "NOT RUN"}[s] }

// result is what is left of a phase when it is over.
type result struct {
	phase    phase
	state    state
	took     time.Duration
	passed   int
	failures []entry
	skips    []entry
	warnings []string
	notes    []string
	tables   []table
	reason   string // why it did not run
	logFile  string
}

// execute runs one phase and turns whatever happened into a result.
func execute(ctx context.Context, j *job, logFile string) result {
	start := time.Now()
	limit := j.phase.timeout
	if limit == 0 {
		limit = defaultTimeout
	}
	pctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("took longer than %s", limit))
	defer cancel()

	f, err := os.Create(logFile)
	if err == nil {
		defer f.Close()
		j.tail = &tail{}
		j.log = io.MultiWriter(f, j.tail)
		err = j.phase.run(pctx, j)
		if err != nil && pctx.Err() != nil {
			err = errors.Join(err, context.Cause(pctx))
		}
	}
	return j.finish(err, time.Since(start), logFile)
}

// finish decides how the phase ended. A phase that counted nothing itself
// counts as one; a counting phase reports an error if it found nothing to
// count, because no tests prove nothing.
func (j *job) finish(err error, took time.Duration, logFile string) result {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := result{phase: j.phase, took: took, passed: j.passed, failures: j.failures, skips: j.skips, warnings: j.warnings, notes: j.notes, tables: j.tables, logFile: logFile}
	un, away := errors.AsType[unavailable](err)
	switch {
	case away:
		r.state, r.reason = notRun, un.reason
	case err != nil && len(r.failures) == 0:
		detail := err.Error()
		if j.tail != nil && j.tail.len() > 0 {
			detail = j.tail.String() + "\n" + detail
		}
		r.failures = []entry{{j.phase.name, detail}}
		r.state = failed
	case len(r.failures) > 0:
		r.state = failed
	case r.passed == 0:
		r.passed = 1
	}
	return r
}

// validate finds mistakes in the table: names that repeat, and needs that do not
// stand before the phase that has them, which also rules out circles.
func validate(table []phase) error {
	var seen []string
	for _, p := range table {
		if p.name == "" || p.what == "" || p.run == nil {
			return fmt.Errorf("phase %q is incomplete", p.name)
		}
		if slices.Contains(seen, p.name) {
			return fmt.Errorf("phase %q stands twice in the table", p.name)
		}
		for _, n := range slices.Concat(p.needs, p.after) {
			if !slices.Contains(seen, n) {
				return fmt.Errorf("phase %q needs %q, which does not stand before it", p.name, n)
			}
		}
		seen = append(seen, p.name)
	}
	return nil
}
