package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// runChaos is a phase of one run of tools/chaos. Each invariant counts as a
// test; its violations are one failure.
func runChaos(args ...string) func(context.Context, *job) error {
	return func(ctx context.Context, j *job) error {
		return j.chaos(ctx, "hurting and checking", "PARLEY_BIN="+j.ws.bin, chaosInto, args...)
	}
}

// runPlants is a phase of every planted bug, each of which chaos must catch.
func runPlants(ctx context.Context, j *job) error {
	return j.chaos(ctx, "hunting", "PARLEY_FAULTS_BIN="+j.ws.faultsBin(), plantsInto, "--plants")
}

// chaos runs tools/chaos and lets into count what it wrote down.
func (j *job) chaos(ctx context.Context, doing, env string, into func(j *job, file string, runErr error) error, args ...string) error {
	bin := filepath.Join(filepath.Dir(j.ws.bin), "chaos")
	if err := j.exec(ctx, command{args: []string{"go", "build", "-o", bin, "./tools/chaos"}}); err != nil {
		return err
	}
	file := filepath.Join(j.ws.logs, j.phase.name+".json")
	j.at("%s", doing)
	return into(j, file, j.exec(ctx, command{args: append([]string{bin, "--json", file}, args...), env: []string{env}}))
}

// written reads what a run wrote down. Without that, how the program ended is
// all there is to say.
func written[T any](file string, runErr error) (r T, err error) {
	b, err := os.ReadFile(file)
	switch {
	case err != nil && runErr != nil:
		return r, runErr
	case err != nil:
		return r, fmt.Errorf("chaos wrote down nothing: %w", err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// A planted is what a hunt wrote down of a bug.
type planted struct {
	Bug, Elsewhere, Check, What, Beside string
	Breaks                              []string
	Caught                              bool
	Runs                                int
}

// plantsInto counts what a hunt wrote down: each bug is a test, and a row of the
// proof.
func plantsInto(j *job, file string, runErr error) error {
	r, err := written[struct {
		Seed   uint64
		Plants []planted
	}](file, runErr)
	if err != nil {
		return err
	}
	list := table{title: "Planted bugs", head: []string{"bug", "breaks", "caught by", "in run", "the first that it showed"}}
	for _, p := range r.Plants {
		switch {
		case p.Bug == "" && p.Caught:
			j.fail("without a bug", fmt.Sprintf("%s: %s (seed %d)", p.Check, p.What, r.Seed))
		case p.Bug != "" && !p.Caught && p.Elsewhere == "":
			detail := fmt.Sprintf("not caught in %d runs from seed %d", p.Runs, r.Seed)
			if p.Beside != "" {
				detail += fmt.Sprintf("; %s violated, which it does not break", p.Beside)
			}
			j.fail(p.Bug, detail)
		case p.Caught:
			j.pass(1)
		}
		if p.Bug != "" {
			list.rows = append(list.rows, p.row())
		}
	}
	if len(list.rows) > 0 {
		j.show(list)
	}
	return runErr
}

// row is that of a bug in the proof.
func (p planted) row() []string {
	by, in := "nobody", fmt.Sprintf("not in %d", p.Runs)
	switch {
	case p.Caught:
		by, in = p.Check, fmt.Sprint(p.Runs)
	case p.Elsewhere != "":
		by = "left to `" + p.Elsewhere + "`"
	}
	what := []rune(p.What)
	if len(what) > shownOfWhat {
		what = append(what[:shownOfWhat], '…')
	}
	return []string{"`" + p.Bug + "`", strings.Join(p.Breaks, ", "), by, in, string(what)}
}

// shownOfWhat is how much of a violation stands in the proof.
const shownOfWhat = 100

// chaosInto counts what a run of tools/chaos wrote down.
func chaosInto(j *job, file string, runErr error) error {
	r, err := written[struct {
		Seed       uint64
		Checks     []string
		Dir        string
		Violations []struct{ Check, User, Conversation, Run, What string }
	}](file, runErr)
	if err != nil {
		return err
	}
	said := map[string][]string{}
	for _, v := range r.Violations {
		said[v.Check] = append(said[v.Check], fmt.Sprintf("%s/%s %s: %s", v.User, v.Conversation, v.Run, v.What))
	}
	for _, check := range r.Checks {
		if lines := said[check]; len(lines) > 0 {
			j.fail(fmt.Sprintf("%s of seed %d", check, r.Seed), strings.Join(lines, "\n")+"\nevidence: "+r.Dir)
			continue
		}
		j.pass(1)
	}
	if runErr != nil && len(r.Violations) == 0 {
		return runErr
	}
	return nil
}
