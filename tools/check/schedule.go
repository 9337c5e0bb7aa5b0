package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// schedule runs the phases in the order of the table, at most n at a time, each
// once what it needs is there. A phase marked alone has the machine to itself. A
// phase whose need is missing does not run; everything else still does, so that
// one run shows all that is wrong.
func schedule(ctx context.Context, table []phase, n int, e env, rep *report) []result {
	results := make([]result, len(table))
	const (
		waiting = iota
		running
		ended
	)
	states := make([]int, len(table))
	index := make(map[string]int, len(table))
	for i, p := range table {
		index[p.name] = i
	}
	// ready tells whether a phase can be decided on, and names a need that will
	// never be met. A need or an order towards a phase that this run leaves out
	// is no obstacle: --only brings needs along, and choose drops the rest.
	ready := func(p phase) (missing string, ok bool) {
		for _, need := range p.needs {
			i, in := index[need]
			switch {
			case !in:
			case states[i] != ended:
				return "", false
			case results[i].state != passed:
				return need, true
			}
		}
		for _, a := range p.after {
			if i, in := index[a]; in && states[i] != ended {
				return "", false
			}
		}
		return "", true
	}

	done := make(chan int)
	active, exclusive := 0, false
	end := func(i int) {
		states[i] = ended
		rep.ended(results[i])
	}
	for left := len(table); left > 0; {
		changed := false
		for i, p := range table {
			if states[i] != waiting {
				continue
			}
			missing, ok := ready(p)
			if !ok {
				continue
			}
			if ctx.Err() != nil {
				// Never a pass, strict or not: someone stopped the check half-way.
				results[i] = result{phase: p, state: failed, failures: []entry{{p.name, "interrupted"}}}
			} else if missing != "" {
				results[i] = result{phase: p, state: notRun, reason: fmt.Sprintf("it needs %s, which did not pass", missing)}
			}
			if ctx.Err() != nil || missing != "" {
				end(i)
				left--
				changed = true
				continue
			}
			if exclusive || active >= n || p.alone && active > 0 {
				if p.alone {
					break // nothing later may overtake it for ever
				}
				continue
			}
			states[i] = running
			active++
			exclusive = p.alone
			changed = true
			j := &job{env: e, phase: p}
			rep.started(j)
			go func() {
				results[i] = execute(ctx, j, filepath.Join(e.ws.logs, p.name+".log"))
				done <- i
			}()
		}
		if changed || active == 0 {
			continue
		}
		i := <-done
		active--
		exclusive = false
		left--
		end(i)
	}
	return results
}
