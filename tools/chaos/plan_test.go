package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parleychat/parley/internal/fault"
)

func TestPlanFollowsItsSeed(t *testing.T) {
	t.Parallel()
	a, b := makePlan(7, time.Minute, 3, scene{}), makePlan(7, time.Minute, 3, scene{})
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("the same seed gave two plans:\n%s", diff)
	}
	if cmp.Equal(a, makePlan(8, time.Minute, 3, scene{})) {
		t.Error("two seeds gave the same plan")
	}
	// A longer run begins like a shorter one.
	if diff := cmp.Diff(a, makePlan(7, 10*time.Minute, 3, scene{})[:len(a)]); diff != "" {
		t.Errorf("a longer run begins otherwise:\n%s", diff)
	}
}

func TestPlanHasEveryFault(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 3} {
		seen := map[string]int{}
		last := time.Duration(0)
		for _, f := range makePlan(1, time.Hour, nodes, scene{}) {
			seen[f.Kind+" "+f.Role]++
			if f.At < last || f.At > time.Hour {
				t.Errorf("%v at %v follows one at %v", f, f.At, last)
			}
			last = f.At
			if f.Kind == faultPause && f.Role == roleAgent && f.Hold <= ackWait {
				t.Errorf("%v is no longer than the AckWait", f)
			}
			if f.Role == roleNATS && f.Index >= nodes {
				t.Errorf("%v of %d nodes", f, nodes)
			}
		}
		for _, c := range counts {
			for _, kind := range []string{faultKill, faultPause, faultTerm} {
				if seen[kind+" "+c.role] == 0 {
					t.Errorf("no %s of %s in an hour", kind, c.role)
				}
			}
		}
		if seen[faultKill+" "+roleNATS] == 0 || seen[faultPause+" "+roleNATS] == 0 || seen[faultPostgres+" "] == 0 {
			t.Errorf("servers are spared: %v", seen)
		}
		if stepDowns := seen[faultStepDown+" "]; (stepDowns > 0) != (nodes == 3) {
			t.Errorf("%d step-downs of %d nodes", stepDowns, nodes)
		}
	}
}

func TestPlanKeepsToItsEmphasis(t *testing.T) {
	t.Parallel()
	plan := makePlan(1, time.Hour, 1, scene{emphasis: emphasis{kinds: []string{faultKill}, roles: []string{roleTool}}})
	if len(plan) == 0 {
		t.Fatal("no faults")
	}
	for _, f := range plan {
		if f.Kind != faultKill || f.Role != roleTool {
			t.Errorf("%v is not asked for", f)
		}
	}
}

func TestSceneOfEveryBug(t *testing.T) {
	t.Parallel()
	if len(makePlan(1, time.Hour, 1, scene{calm: true})) != 0 {
		t.Error("a calm scene has faults")
	}
	for bug, s := range scenes() {
		if !slices.Contains(fault.Bugs(), bug) {
			t.Errorf("there is no bug %q", bug)
		}
		for _, d := range s.deaths {
			if !slices.Contains(fault.Points(), d.point) || len(s.faultsAt(d.role, rand.New(rand.NewPCG(1, 2)))) == 0 {
				t.Errorf("nobody dies at %q for %s", d.point, bug)
			}
		}
		if !s.calm && len(makePlan(1, plantFor, 1, s)) < 3 {
			t.Errorf("the scene of %s has hardly any faults", bug)
		}
	}
}
