package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parleychat/parley/internal/fault"
)

// A scene is what brings a planted bug to light: what the nemesis does, and
// where processes of a role kill themselves, again and again.
type scene struct {
	emphasis
	// calm leaves the nemesis out.
	calm  bool
	dense bool
	// brief pauses end soon after the AckWait.
	brief bool
	habit
	// elsewhere names the proof that notices the bug if chaos, which leaves it to
	// chance, does not.
	elsewhere string
	deaths    []death
}

// A habit is what persons do more than others.
type habit struct {
	verb string // what they say, if not everything
	act  string // what they do most
	rude bool   // they always interrupt what is being written
}

// A death is a place at which processes of a role kill themselves, after they
// have come by it up to so many times.
type death struct {
	role   string
	point  fault.Point
	passes int
}

func dying(role string, at fault.Point, passes int) scene {
	return scene{calm: true, deaths: []death{{role, at, passes}}}
}

// control is the scene without a bug: all that the others do, of which nothing
// may come to light.
func control() scene {
	var s scene
	for _, k := range scenes() {
		s.deaths = append(s.deaths, k.deaths...)
	}
	slices.SortFunc(s.deaths, func(a, b death) int { return cmp.Compare(a.point, b.point) })
	return s
}

// sceneOf returns what a run with these options sees.
func sceneOf(o options) scene {
	if o.tagged && o.plant == "" {
		return control()
	}
	return scenes()[fault.Bug(o.plant)]
}

func preferring(kinds, roles []string) scene {
	return scene{dense: true, emphasis: emphasis{kinds: kinds, roles: roles}}
}

func slowly(s scene) scene {
	s.brief, s.verb = true, verbSlow
	return s
}

// rudely lets persons interrupt, so that answers end early with a message behind.
func rudely(s scene) scene {
	s.rude = true
	return s
}

// left leaves a bug that chaos only meets by chance to another proof.
func left(elsewhere string, s scene) scene {
	s.elsewhere = elsewhere
	return s
}

// often lets persons do one thing most of the time.
func often(act, verb string, s scene) scene {
	s.verb, s.act = verb, act
	return s
}

// scenes are those of the bugs that the usual faults would find too rarely.
func scenes() map[fault.Bug]scene {
	agents, tools := []string{roleAgent}, []string{roleTool}
	calm := scene{calm: true}
	return map[fault.Bug]scene{
		fault.AckBeforeCommit:     dying(roleAgent, fault.CommitBefore, 60),
		fault.AckBeforeEmit:       dying(roleAgent, fault.WorkBefore, 8),
		fault.NoExpectedSequence:  preferring([]string{faultPause, faultKill}, agents),
		fault.RebaseOnConflict:    often(actMuch, verbSay, calm),
		fault.OwnCommitBlind:      left("internal/faulttest", preferring([]string{faultKill}, []string{roleNATS})),
		fault.TakeoverAnyDelivery: preferring([]string{faultPause}, agents),
		fault.LostLeaseAcks:       slowly(preferring([]string{faultPause, faultKill}, agents)),
		fault.EmitFromDecision:    dying(roleAgent, fault.WorkBefore, 8),
		fault.TakeoverNoTimer:     dying(roleAgent, fault.TimerBefore, 12),
		fault.EndStartsNothing:    rudely(slowly(calm)),
		fault.CancelEndsRun:       often(actCancel, verbAdd, preferring([]string{faultPause, faultPostgres}, tools)),
		fault.DrainCompletes:      slowly(preferring([]string{faultTerm}, agents)),
		fault.StopDropsText:       calm,
		fault.DeltaAttemptFixed:   slowly(calm),
		fault.DeltaOffsetRunes:    slowly(calm),
		fault.DedupeWithoutPerson: calm,
		fault.NoRenewal:           slowly(calm),
		fault.EffectOutside:       dying(roleTool, fault.ToolCommitBefore, 12),
		fault.LedgerPerTry:        dying(roleTool, fault.AnswerBefore, 12),
		fault.RevokeWithoutRow:    often(actCancel, verbAdd, preferring([]string{faultPause}, tools)),
		fault.AckBeforeAnswer:     dying(roleTool, fault.AnswerBefore, 12),
		fault.CheckpointFirst:     dying(roleRecorder, fault.BatchCommitBefore, 6),
		fault.CheckpointIgnored:   preferring([]string{faultKill}, []string{roleRecorder}),
		fault.LiveWithoutRead:     calm,
		fault.SnapshotIgnored:     slowly(calm),
		fault.StoreBeforeRefusal:  calm,
		fault.TellEveryone:        calm,
	}
}

// faultsAt returns what a process of a role gets at each of its starts.
func (s scene) faultsAt(role string, rng *rand.Rand) []string {
	var list []death
	for _, d := range s.deaths {
		if d.role == role {
			list = append(list, d)
		}
	}
	if len(list) == 0 {
		return nil
	}
	d := list[rng.IntN(len(list))]
	return []string{"PARLEY_FAULT=" + string(d.point) + ":" + strconv.Itoa(2+rng.IntN(d.passes))}
}

const (
	// plantFor is how long a bug has to show up in one run, of which it gets a few.
	plantFor = 15 * time.Second
	// plantRuns bounds the runs of one bug.
	plantRuns = 3
)

// A catch says how a planted bug was found, if it was.
type catch struct {
	Bug       fault.Bug
	Breaks    []string `json:",omitempty"`
	Caught    bool
	Elsewhere string `json:",omitempty"`
	// Check are the checks, of those that the bug is said to break, that have
	// violations; What is the first of these. Without a bug all count.
	Check, What string
	// Beside are other checks with violations in any of the runs. They catch
	// nothing: who says that it was the bug?
	Beside string `json:",omitempty"`
	Seed   uint64
	Runs   int
	Took   time.Duration
}

// runPlants runs the faults without a bug, which must go well, and then with each bug in
// turn until it is caught.
func runPlants(ctx context.Context, o options, stdout, stderr io.Writer) int {
	var list []catch
	code := 0
	o.last = plantFor
	bugs := fault.Bugs()
	if o.plant != "" {
		bugs = []fault.Bug{fault.Bug(o.plant)}
	}
	for _, bug := range append([]fault.Bug{""}, bugs...) {
		c, err := o.hunt(ctx, bug, stderr)
		if err != nil {
			fmt.Fprintf(stderr, "chaos: %s: %v\n", bug, err)
			return 2
		}
		switch {
		case bug == "" && c.Caught:
			fmt.Fprintf(stdout, "WITHOUT a bug  %s: %s (seed %d)\n", c.Check, c.What, c.Seed)
			code = 1
		case bug == "":
			fmt.Fprintf(stdout, "without a bug nothing is violated (%v)\n", c.Took.Round(time.Second))
		case c.Caught:
			fmt.Fprintf(stdout, "%-22s caught by %s in run %d, %v: %s\n", bug, c.Check, c.Runs, c.Took.Round(time.Second), clip(c.What, 120))
		case c.Elsewhere != "":
			fmt.Fprintf(stdout, "%-22s not met in %d runs, %v%s; noticed by %s\n", bug, c.Runs, c.Took.Round(time.Second), c.beside(), c.Elsewhere)
		default:
			fmt.Fprintf(stdout, "%-22s NOT CAUGHT in %d runs, %v%s\n", bug, c.Runs, c.Took.Round(time.Second), c.beside())
			code = 1
		}
		list = append(list, c)
	}
	if o.json != "" {
		if err := writeJSON(o.json, map[string]any{"Seed": o.seed, "Plants": list}); err != nil {
			fmt.Fprintln(stderr, err)
			return 2
		}
	}
	return code
}

// hunt runs one bug until a check finds what the bug is said to break.
func (o options) hunt(ctx context.Context, bug fault.Bug, progress io.Writer) (catch, error) {
	c := catch{Bug: bug, Breaks: bug.Breaks(), Elsewhere: scenes()[bug].elsewhere}
	begun := time.Now()
	runs := plantRuns
	if bug == "" {
		runs = 1
	}
	for c.Runs < runs && !c.Caught {
		p := o
		p.plant, p.tagged, p.dir, p.seed = string(bug), true, "", o.seed+uint64(c.Runs)
		r, err := once(ctx, p, progress)
		if err != nil {
			return c, err
		}
		c.Runs, c.Seed = c.Runs+1, p.seed
		if bug == "" && len(r.Violations) > 0 {
			r.print(progress)
		}
		if bug != "" && !o.keep {
			// Whoever wants to see what it did runs it alone.
			if err := os.RemoveAll(r.Dir); err != nil {
				return c, fmt.Errorf("remove the evidence of a planted bug: %w", err)
			}
		}
		c.take(r.Violations)
	}
	c.Took = time.Since(begun)
	return c, nil
}

// take counts what one run violated.
func (c *catch) take(list []violation) {
	var by, beside []string
	if c.Beside != "" {
		beside = strings.Split(c.Beside, ", ")
	}
	for _, v := range list {
		if c.Bug != "" && !slices.Contains(c.Breaks, v.Check) {
			beside = append(beside, v.Check)
			continue
		}
		if !c.Caught {
			c.Caught, c.What = true, v.What
		}
		by = append(by, v.Check)
	}
	c.Check, c.Beside = distinct(by), distinct(beside)
}

// distinct lists names once.
func distinct(names []string) string {
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// beside tells what there was instead.
func (c *catch) beside() string {
	if c.Beside == "" {
		return ""
	}
	return fmt.Sprintf(" (%s violated, which it does not break; it breaks %s)", c.Beside, strings.Join(c.Breaks, ", "))
}
