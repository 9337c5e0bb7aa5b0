package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/parleychat/parley/events"
)

// once makes a world, hurts it, and judges what is left.
func once(ctx context.Context, o options, out io.Writer) (r *report, err error) {
	dir, err := makeDir(o)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(out, "%6.1f s  %s\n", time.Since(begun).Seconds(), fmt.Sprintf(format, args...))
	}
	say("seed %d, %d NATS node(s), %v, %d persons; logs in %s", o.seed, o.nodes, o.last, o.persons, dir)
	if o.bin, err = binary(ctx, o, dir, say); err != nil {
		return nil, err
	}
	w, err := newWorld(ctx, o, dir)
	defer func() {
		err = errors.Join(err, w.close(ctx))
		if err == nil && len(r.Violations) == 0 && !o.keep && o.dir == "" {
			err = os.RemoveAll(dir)
			r.Dir = ""
		}
	}()
	if err != nil {
		return nil, err
	}
	say("everything runs")
	e, n, err := w.trouble(ctx, o, say)
	if err != nil {
		return nil, err
	}
	r = newReport(o, dir, e, n)
	r.Crashes = w.crashes()
	r.Took = time.Since(begun).Round(100 * time.Millisecond)
	if len(r.Violations) > 0 {
		if err := keepHistories(dir, e, r.Violations); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// trouble lets persons write while the nemesis acts, heals the world, waits for
// quiet and collects.
func (w *world) trouble(ctx context.Context, o options, say func(string, ...any)) (*evidence, *nemesis, error) {
	c := newCrowd(o.seed, o.persons, w.edges, func(u events.UserID) (string, error) {
		token, _, err := w.issuer.Issue(string(u))
		return token, err
	})
	c.habit = sceneOf(o).habit
	var strained []span
	var watching sync.WaitGroup
	defer watching.Wait()
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	writing, stopWriting := context.WithTimeout(ctx, o.last)
	defer stopWriting()
	watching.Go(func() { strained = w.strain(reading) })
	written := c.run(writing, reading)
	n := newNemesis(w, io.Discard)
	plan := makePlan(o.seed, o.last-time.Second, o.nodes, sceneOf(o))
	n.run(writing, plan)
	written()
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	say("faults are over: %s", n.summary())
	if len(n.errs) > 0 {
		return nil, nil, fmt.Errorf("the nemesis failed: %w", errors.Join(n.errs...))
	}
	if err := w.heal(ctx); err != nil {
		return nil, nil, err
	}
	say("everything runs again")
	c.clarify(ctx)
	patience := 30 * time.Second
	if o.plant != "" {
		patience = 8 * time.Second // many bugs show by never coming to rest
	}
	quiet, open := w.quiet(ctx, patience)
	if quiet {
		say("all is quiet")
	} else {
		say("NOT quiet: %s", open)
	}
	var e *evidence
	err := w.until(ctx, 2*time.Minute, "the evidence", func(ctx context.Context) (err error) {
		e, err = w.collect(ctx)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if e.Verified, err = w.verify(ctx); err != nil {
		return nil, nil, err
	}
	e.Quiet, e.Faults = quiet, append(w.deaths(), n.spans...)
	if !quiet {
		e.Queues["open: "+open] = 1
	}
	w.lastLook(ctx, c, e, say)
	stopReading()
	watching.Wait()
	e.Faults = append(e.Faults, strained...)
	for _, p := range c.persons {
		e.Canaries[p.id] = p.canary
		requests, foreign := p.records()
		e.Requests = append(e.Requests, requests...)
		if len(foreign) > 0 {
			e.Devices = append(e.Devices, deviceRecord{Name: "answers", User: p.id, Foreign: foreign})
		}
		for _, d := range p.devices {
			e.Devices = append(e.Devices, d.finish())
		}
	}
	return e, n, nil
}

// lastLook lets every device resume once more and read to the end of the log.
func (w *world) lastLook(ctx context.Context, c *crowd, e *evidence, say func(string, ...any)) {
	last := map[place]uint64{}
	mine := map[events.UserID][]events.ConversationID{}
	for at, list := range e.Log {
		last[at] = uint64(len(list))
		mine[at.User] = append(mine[at.User], at.Conversation)
	}
	for _, p := range c.persons {
		for _, d := range p.devices {
			d.settle(mine[p.id])
		}
	}
	// After a long run there are thousands of views: as long as they get fewer,
	// there is no reason to stop looking.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	fewest, moved := math.MaxInt, time.Now()
	for {
		count, example := c.behind(last)
		if count < fewest {
			fewest, moved = count, time.Now()
		}
		if count == 0 {
			say("every device has everything")
			return
		}
		if time.Since(moved) > 15*time.Second || !pause(ctx, 100*time.Millisecond) {
			say("%d views are behind: %s", count, example)
			return
		}
		for _, p := range c.persons {
			for _, d := range p.devices {
				for _, conv := range mine[p.id] {
					d.follow(conv)
				}
			}
		}
	}
}

// deaths are the ends of processes that the nemesis did not bring about.
func (w *world) deaths() (list []span) {
	for _, p := range w.procs {
		list = append(list, p.deaths()...)
	}
	return list
}

func (w *world) crashes() []string {
	var list []string
	for _, p := range w.procs {
		list = append(list, p.crashed()...)
	}
	return list
}

// makeDir makes the directory of a run, which Postgres' account can reach.
func makeDir(o options) (string, error) {
	dir := o.dir
	if dir == "" {
		var err error
		// Not below a private TMPDIR: Postgres may run as another account.
		if dir, err = os.MkdirTemp("/tmp", "parley-chaos-"); err != nil {
			return "", fmt.Errorf("chaos: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o755); err != nil {
		return "", fmt.Errorf("chaos: %w", err)
	}
	return dir, os.Chmod(dir, 0o755)
}

// binary returns the parley to run, built if none was named.
func binary(ctx context.Context, o options, dir string, say func(string, ...any)) (string, error) {
	bin, tags := o.bin, ""
	if o.tagged {
		bin, tags = o.faults, "faults"
	}
	if bin != "" {
		return filepath.Abs(bin)
	}
	say("building parley")
	bin = filepath.Join(dir, "parley")
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", tags, "-o", bin, "./cmd/parley")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build parley: %w: %s", err, out)
	}
	return bin, nil
}
