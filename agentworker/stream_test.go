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
	const token = 20 * time.Millisecond // of a model at 50 a second
	for _, c := range []struct {
		name   string
		pieces func(i int) time.Duration // when piece i comes
		n      int
		most   time.Duration // that a piece is held back
		quiet  int           // from this piece on none is held back
		deltas int           // at most
	}{
		{"a slow model, piece by piece", func(i int) time.Duration { return time.Duration(i) * 2 * token }, 50, 0, 0, 50},
		{"fifty a second, piece by piece", func(i int) time.Duration { return time.Duration(i) * token }, 100, 0, 0, 100},
		{"one piece late, the others in time", func(i int) time.Duration {
			if i == 10 {
				return 10*token + token*9/10
			}
			return time.Duration(i) * token
		}, 100, 0, 0, 100},
		{"early and late in turn", func(i int) time.Duration { return time.Duration(i)*token + time.Duration(i%2)*token/2 }, 100, 0, 0, 100},
		{"a stall of half a second, and in time again", func(i int) time.Duration {
			return time.Duration(max(i, min(i+25, 35))) * token
		}, 100, flushEvery, 45, 100},
		{"a fast model, gathered", func(i int) time.Duration { return time.Duration(i) * time.Millisecond }, 1600, flushEvery, 1600, 100 + flushBurst},
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
						if held := time.Since(begun) - came[shown]; held > c.most || held > 0 && shown >= c.quiet {
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
				<-time.After(flushEvery)
				s.end()
				if shown != c.n || deltas > c.deltas {
					t.Errorf("%d of %d pieces in %d deltas", shown, c.n, deltas)
				}
			})
		})
	}
}
