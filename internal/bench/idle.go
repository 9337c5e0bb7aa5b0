package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// idle opens sockets of so many persons, none of whom says anything, and
// measures what each costs the edge in memory, and the floor likewise.
func (b *bench) idle(ctx context.Context, level int) (*Line, error) {
	line := b.line("idle", level)
	floor, err := b.park(ctx, b.floorDoor(), "floor", level, b.stack.floor.pid, "")
	if err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	b.profile(ctx, line)
	// An agent that is not there any more must not count as ours.
	stop := during(ctx, b.watched())
	edge, err := b.park(ctx, b.parley(), "idle", level, b.stack.edge.pid, "connected")
	u := stop()
	if err != nil {
		return nil, err
	}
	line.Figures = figures(&tally{}, u)
	line.Extra["kib_per_socket"], line.Extra["kib_per_socket_floor"] = round(edge.each, 2), round(floor.each, 2)
	line.Extra["open_s"], line.Extra["open_s_floor"] = round(edge.open.Seconds(), 2), round(floor.open.Seconds(), 2)
	return b.done(ctx, line, u)
}

// parked is what idle sockets cost a process.
type parked struct {
	each float64 // KiB
	open time.Duration
}

// park opens sockets, waits while they are idle, and closes them. The first few
// warm the process up and are not counted.
func (b *bench) park(ctx context.Context, d door, name string, n, pid int, greeting string) (parked, error) {
	warm, err := b.open(ctx, d, name+"warm", max(n/50, 1), greeting)
	defer closeAll(warm)
	if err != nil {
		return parked{}, err
	}
	if !b.clock.until(ctx, b.clock.now()+settle) {
		return parked{}, ctx.Err()
	}
	before, begun := resident(pid, false), b.clock.now()
	list, err := b.open(ctx, d, name, n, greeting)
	defer closeAll(list)
	if err != nil {
		return parked{}, err
	}
	took := b.clock.now() - begun
	if !b.clock.until(ctx, b.clock.now()+b.o.For) {
		return parked{}, ctx.Err()
	}
	after := resident(pid, false)
	if before == 0 || after == 0 {
		return parked{}, errors.New("this system does not tell the memory of a process")
	}
	return parked{float64(after-before) / 1024 / float64(n), took}, nil
}

// open connects so many persons and reads the greeting of each.
func (b *bench) open(ctx context.Context, d door, name string, n int, greeting string) ([]*client, error) {
	list := make([]*client, n)
	for i := range list {
		list[i] = b.newClient(d, b.user(name, i), window{})
	}
	if err := connectAll(ctx, list); err != nil {
		return list, err
	}
	for _, c := range list {
		if greeting == "" {
			break
		}
		if err := c.link.ws.SetReadDeadline(time.Now().Add(answerPatience)); err != nil {
			return list, err
		}
		if err := c.link.expect(greeting); err != nil {
			return list, err
		}
	}
	return list, nil
}

func closeAll(list []*client) {
	for _, c := range list {
		if c != nil {
			c.close()
		}
	}
}
