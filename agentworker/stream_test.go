package agentworker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleychat/parley/events"
)

// What goes out when, on a clock of its own: how long each piece was held back.
func TestDeltasGoOutInTime(t *testing.T) {
	t.Parallel()
	const every = 20 * time.Millisecond
	for _, c := range []struct {
		name   string
		pieces func(i int) time.Duration // when piece i comes
		n      int
		most   time.Duration // that a piece is held back
		deltas int           // at most
	}{
		{"a slow model, piece by piece", func(i int) time.Duration { return time.Duration(i) * 2 * every }, 50, 0, 50},
		{"a model at just this pace", func(i int) time.Duration { return time.Duration(i) * every }, 100, 0, 100},
		{"one piece late, the others in time", func(i int) time.Duration {
			if i == 10 {
				return 10*every + every/2
			}
			return time.Duration(i) * every
		}, 100, 0, 100},
		{"early and late in turn", func(i int) time.Duration { return time.Duration(i)*every + time.Duration(i%2)*every/3 }, 100, every / 2, 100},
		{"a fast model, gathered", func(i int) time.Duration { return time.Duration(i) * every / 10 }, 1000, every, 102},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				came := make([]time.Duration, c.n)
				shown, deltas := 0, 0
				s := &stream{publish: func(_ string, data []byte) error {
					d, err := events.DecodeDelta(data)
					if err != nil || d.Offset != shown {
						t.Errorf("delta at %d, want %d: %v", d.Offset, shown, err)
					}
					deltas++
					for range len(d.Text) { // one byte each
						if held := time.Since(begun) - came[shown]; held > c.most {
							t.Errorf("piece %d was held back for %v", shown, held)
						}
						shown++
					}
					return nil
				}}
				for i := range c.n {
					came[i] = c.pieces(i)
					<-time.After(time.Until(begun.Add(came[i]))) // of the test's own clock
					s.write("x")
				}
				<-time.After(every)
				s.end()
				if shown != c.n || deltas > c.deltas {
					t.Errorf("%d of %d pieces in %d deltas", shown, c.n, deltas)
				}
			})
		})
	}
}
