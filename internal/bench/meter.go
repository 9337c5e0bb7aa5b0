package bench

import (
	"context"
	"os"
	"sync"
	"time"
)

// A watched process is measured while a level runs.
type watched struct {
	role string
	pid  int
	tree bool // its children count too
}

// A Machine is what the machine did while a level ran.
type Machine struct {
	// Others is the share of the processors that went to processes which are not
	// ours and to the hypervisor, Steal the latter alone.
	Others float64 `json:"others"`
	Steal  float64 `json:"steal"`
	// Fsync and Commit are the medians of one fsync in the data directory and
	// of one Postgres commit, both measured beside the level.
	Fsync  float64 `json:"fsync_ms"`
	Commit float64 `json:"commit_ms,omitzero"`
	// Known is false where the system does not tell: then nothing is calm.
	Known bool `json:"known"`
}

// calmBelow is the share of others above which a comparison means nothing.
const calmBelow = 0.10

// Calm reports whether figures may be compared.
func (m Machine) Calm() bool { return m.Known && m.Others < calmBelow }

// A usage is what processes used between two moments.
type usage struct {
	cpu    map[string]time.Duration // by role; the bench itself is "bench"
	peak   map[string]int64         // bytes
	length time.Duration
	others float64
	steal  float64
	known  bool
}

// measure samples the processes until ctx ends and returns what they used. It
// may be stopped early by the caller's cancel.
func measure(ctx context.Context, list []watched) usage {
	all := append([]watched{{"bench", os.Getpid(), false}}, list...)
	begun := time.Now()
	before, machineBefore, known := cpuOf(all)
	u := usage{cpu: map[string]time.Duration{}, peak: map[string]int64{}, known: known}
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for done := false; !done; {
		now := map[string]int64{}
		for _, w := range all {
			now[w.role] += resident(w.pid, w.tree)
		}
		for role, n := range now {
			u.peak[role] = max(u.peak[role], n)
		}
		select {
		case <-ctx.Done():
			done = true
		case <-tick.C:
		}
	}
	after, machineAfter, known := cpuOf(all)
	u.length = time.Since(begun)
	var ours time.Duration
	for i, w := range all {
		used := max(after[i]-before[i], 0) // 0: killed meanwhile
		u.cpu[w.role] += used
		ours += used
	}
	total := machineAfter.all - machineBefore.all
	if u.known = u.known && known && total > 0; u.known {
		u.others = max(float64(machineAfter.busy-machineBefore.busy-ours)/float64(total), 0)
		u.steal = float64(machineAfter.steal-machineBefore.steal) / float64(total)
	}
	return u
}

func cpuOf(list []watched) (cpu []time.Duration, m machineTime, known bool) {
	m, err := readMachine()
	known = err == nil
	for _, w := range list {
		d, err := processorTime(w.pid, w.tree)
		if err != nil {
			d = 0
		}
		cpu = append(cpu, d)
	}
	return cpu, m, known
}

// during measures from now until the returned function is called.
func during(ctx context.Context, list []watched) (stop func() usage) {
	ctx, cancel := context.WithCancel(ctx)
	var u usage
	var g sync.WaitGroup
	g.Go(func() { u = measure(ctx, list) })
	return func() usage {
		cancel()
		g.Wait()
		return u
	}
}
