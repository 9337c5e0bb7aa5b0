//go:build faults && unix

package fault

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// passes counts how often this process came by the point that it is to die at.
var passes atomic.Int64

// A choice is what the environment says.
type choice struct {
	point Point
	pass  int64
	pause bool
	log   string
	bugs  []Bug
}

// chosen reads the environment once. What it cannot read is a mistake in a test,
// which would otherwise pass without a fault.
var chosen = sync.OnceValue(func() choice {
	c := choice{pass: 1, log: os.Getenv("PARLEY_FAULT_LOG")}
	if s := os.Getenv("PARLEY_FAULT"); s != "" {
		name, pass, numbered := strings.Cut(strings.TrimSuffix(s, pause), ":")
		c.point, c.pause = Point(name), strings.HasSuffix(s, pause)
		if !slices.Contains(Points(), c.point) {
			panic(fmt.Sprintf("PARLEY_FAULT=%s: there is no fault point %q; see docs/faults.md", s, name))
		}
		if numbered {
			var err error
			if c.pass, err = strconv.ParseInt(pass, 10, 64); err != nil || c.pass < 1 {
				panic(fmt.Sprintf("PARLEY_FAULT=%s: the pass must be a number from 1", s))
			}
		}
	}
	if s := os.Getenv("PARLEY_PLANT"); s != "" {
		for name := range strings.SplitSeq(s, ",") {
			if !slices.Contains(Bugs(), Bug(name)) {
				panic(fmt.Sprintf("PARLEY_PLANT=%s: there is no bug %q; see docs/faults.md", s, name))
			}
			c.bugs = append(c.bugs, Bug(name))
		}
	}
	return c
})

// pause after a point asks for kill -STOP in the place of kill -9.
const pause = ":stop"

// At kills or stops this process if p is the point that the environment names.
func At(p Point) {
	c := chosen()
	if c.point != p || passes.Add(1) != c.pass {
		return
	}
	if err := c.strike(); err != nil {
		panic(fmt.Sprintf("fault point %s: %v", p, err))
	}
}

// strike leaves a line in the log, on disk before the end, and sends the signal.
func (c choice) strike() error {
	if c.log != "" {
		f, err := os.OpenFile(c.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(f, "%s %d %d\n", c.point, c.pass, os.Getpid())
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	if !c.pause {
		if err := self.Kill(); err != nil {
			return err
		}
		select {} // dead, as far as this goroutine can tell
	}
	if err := self.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	<-time.After(100 * time.Millisecond) // the kernel stops one thread after the other
	return nil
}

// Planted reports whether the environment names b.
func Planted(b Bug) bool { return slices.Contains(chosen().bugs, b) }
