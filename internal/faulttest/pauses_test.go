//go:build faults

package faulttest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/parleychat/parley/internal/fault"
)

// pauses are processes that stop at a point for longer than their lease, while
// another goes on, and then wake up and go on themselves.
var pauses = []death{
	{fault.BatchBefore, 2, "recorder", add},
	{fault.BatchCommitBefore, 1, "recorder", add},
	{fault.BatchAfter, 1, "recorder", add},
	{fault.EffectBefore, 1, "toolworker", add},
	{fault.ToolCommitBefore, 1, "toolworker", add},

	{fault.CommitBefore, 1, "agentworker", add},
	{fault.CommitBefore, 2, "agentworker", add},
	{fault.CommitBefore, 3, "agentworker", add},
	{fault.CommitBefore, 4, "agentworker", add},
	{fault.CommitAfter, 1, "agentworker", add},
	{fault.CommitAfter, 2, "agentworker", add},
	{fault.CommitAfter, 3, "agentworker", add},
	{fault.TimerBefore, 1, "agentworker", add},
	{fault.WorkBefore, 1, "agentworker", add},
	{fault.WorkBefore, 2, "agentworker", addMany},
	{fault.ModelBefore, 1, "agentworker", add},
	{fault.ModelFirstByte, 1, "agentworker", add},
	{fault.ModelAfter, 1, "agentworker", add},
	{fault.ModelAfter, 2, "agentworker", add},
	{fault.AgentAckBefore, 1, "agentworker", add},
	{fault.AgentAckBefore, 2, "agentworker", add},

	{fault.LedgerBefore, 1, "toolworker", add},
	{fault.ToolCommitAfter, 1, "toolworker", add},
	{fault.AnswerBefore, 1, "toolworker", add},
	{fault.AnswerAfter, 1, "toolworker", add},
}

// TestEveryPause stops a process at a point, lets another take its work over, and
// wakes it: nothing that it does then may count.
func TestEveryPause(t *testing.T) {
	t.Parallel()
	for _, d := range pauses {
		t.Run(fmt.Sprintf("%s/%d", d.point, d.pass), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			wakes(d.point, d.pass, d.role, d.drive).tell(w)
			w.settled()
		})
	}
}

// wakes has a role stop at a point, another do its work, and the first wake up.
// The other need not wait for it: what it holds, Postgres takes from it.
func wakes(at fault.Point, pass int, role string, drive func(*world)) story {
	return story{known: true, tell: func(w *world) {
		for _, r := range roles {
			if r != role {
				w.start(r)
			}
		}
		p := w.doom(role, at, pass, ":stop")
		drive(w)
		p.stopped(at, pass)
		w.start(role)
		w.settled()
		p.wake()
		p.terminate() // which waits until it has done what it was about to do
	}}
}

// stopped waits until the process has stopped itself at the point.
func (p *process) stopped(at fault.Point, k int) {
	p.w.t.Helper()
	want := fmt.Sprintf("%s %d %d\n", at, k, p.cmd.Process.Pid)
	if !p.w.eventually(time.Minute, func() bool {
		line, err := os.ReadFile(p.log)
		return err == nil && string(line) == want
	}) {
		p.w.t.Fatalf("%s never stopped at %s", p.role, at)
	}
}
