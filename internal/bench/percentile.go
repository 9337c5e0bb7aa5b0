package bench

import (
	"slices"
	"time"
)

// samples are times of one kind. A level has as many as it has tokens, which is
// bounded, so they are kept whole and sorted: no bucket rounds them.
type samples []time.Duration

// at returns the value that the share q of the samples does not exceed, by
// nearest rank; 0 without samples. The samples must be sorted.
func (s samples) at(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	rank := int(q*float64(len(s))+0.999999) - 1
	return s[min(max(rank, 0), len(s)-1)]
}

// A Spread is what is shown of samples, in milliseconds.
type Spread struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50_ms"`
	P95 float64 `json:"p95_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

// spread sorts s and summarises it.
func (s samples) spread() Spread {
	slices.Sort(s)
	return Spread{len(s), ms(s.at(0.5)), ms(s.at(0.95)), ms(s.at(0.99)), ms(s.at(1))}
}

func ms(d time.Duration) float64 { return round(float64(d)/1e6, 3) }

// round keeps the digits that mean something.
func round(v float64, digits int) float64 {
	scale := 1.0
	for range digits {
		scale *= 10
	}
	if v < 0 {
		return -round(-v, digits)
	}
	return float64(int64(v*scale+0.5)) / scale
}

// ratio returns a/b, 0 where there is nothing to compare.
func ratio(a, b float64) float64 {
	if a <= 0 || b <= 0 {
		return 0
	}
	return round(a/b, 3)
}
