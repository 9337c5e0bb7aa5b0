//go:build faults

package fault

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// passes counts how often this process came by the point that it is to die at.
var passes atomic.Int64

// chosen reads the environment once. What it cannot read is a mistake in a test,
// which would otherwise pass without a fault.
var chosen = sync.OnceValue(func() (c struct {
	point Point
	pass  int64
	log   string
	bugs  []Bug
},
) {
	c.log, c.pass = os.Getenv("PARLEY_FAULT_LOG"), 1
	if s := os.Getenv("PARLEY_FAULT"); s != "" {
		name, pass, numbered := strings.Cut(s, ":")
		if c.point = Point(name); !slices.Contains(Points(), c.point) {
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

// At kills this process if p is the point that the environment names.
func At(p Point) {
	c := chosen()
	if c.point != p {
		return
	}
	pass := passes.Add(1)
	if pass < c.pass {
		return
	}
	if pass == c.pass {
		if err := die(p, pass, c.log); err != nil {
			panic(fmt.Sprintf("fault point %s: %v", p, err))
		}
	}
	select {} // dead, as far as this goroutine can tell
}

// die leaves a line in the log, on disk before the end.
func die(p Point, pass int64, log string) error {
	if log != "" {
		f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(f, "%s %d %d\n", p, pass, os.Getpid()); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	return self.Kill()
}

// Planted reports whether the environment names b.
func Planted(b Bug) bool { return slices.Contains(chosen().bugs, b) }
