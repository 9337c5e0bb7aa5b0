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
		bin := filepath.Join(filepath.Dir(j.ws.bin), "chaos")
		if err := j.exec(ctx, command{args: []string{"go", "build", "-o", bin, "./tools/chaos"}}); err != nil {
			return err
		}
		file := filepath.Join(j.ws.logs, j.phase.name+".json")
		j.at("hurting and checking")
		err := j.exec(ctx, command{args: append([]string{bin, "--json", file}, args...), env: []string{"PARLEY_BIN=" + j.ws.bin}})
		return chaosInto(j, file, err)
	}
}

// runPlants is a phase of every planted bug, each of which chaos must catch.
func runPlants(ctx context.Context, j *job) error {
	bin := filepath.Join(filepath.Dir(j.ws.bin), "chaos")
	if err := j.exec(ctx, command{args: []string{"go", "build", "-o", bin, "./tools/chaos"}}); err != nil {
		return err
	}
	file := filepath.Join(j.ws.logs, j.phase.name+".json")
	j.at("hunting")
	err := j.exec(ctx, command{args: []string{bin, "--plants", "--json", file}, env: []string{"PARLEY_FAULTS_BIN=" + j.ws.faultsBin()}})
	return plantsInto(j, file, err)
}

// plantsInto counts what a hunt wrote down: each bug is a test.
func plantsInto(j *job, file string, runErr error) error {
	b, err := os.ReadFile(file)
	if err != nil {
		if runErr != nil {
			return runErr
		}
		return fmt.Errorf("chaos wrote down nothing: %w", err)
	}
	var r struct {
		Seed   uint64
		Plants []struct {
			Bug, Elsewhere, Check, What string
			Caught                      bool
			Runs                        int
		}
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, p := range r.Plants {
		switch {
		case p.Bug == "" && p.Caught:
			j.fail("without a bug", fmt.Sprintf("%s: %s (seed %d)", p.Check, p.What, r.Seed))
		case p.Bug != "" && !p.Caught && p.Elsewhere == "":
			j.fail(p.Bug, fmt.Sprintf("not caught in %d runs from seed %d", p.Runs, r.Seed))
		case p.Caught:
			j.pass(1)
		}
	}
	return runErr
}

// chaosInto counts what a run of tools/chaos wrote down. Without that, how the
// program ended is all there is to say.
func chaosInto(j *job, file string, runErr error) error {
	b, err := os.ReadFile(file)
	if err != nil {
		if runErr != nil {
			return runErr
		}
		return fmt.Errorf("chaos wrote down nothing: %w", err)
	}
	var r struct {
		Seed       uint64
		Checks     []string
		Dir        string
		Violations []struct{ Check, User, Conversation, Run, What string }
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return fmt.Errorf("%s: %w", file, err)
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
