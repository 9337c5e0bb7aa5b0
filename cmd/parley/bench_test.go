package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/parleychat/parley/internal/testkit"
)

// BenchmarkFirstDelta measures, one message at a time and each in a new
// conversation, how long it takes from the request to the first piece of the
// answer: two fsyncs, two hops over NATS, one call of the demo model. Run it with
// -benchtime 200x; the unit is milliseconds.
func BenchmarkFirstDelta(b *testing.B) {
	dir := testkit.DataDir(b)
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	p := parley(b, nil, devArgs(dir)...)
	p.expect(testkit.Context(b), "Ctrl-C stops it")
	a, err := (&Client{DataDir: dir, User: "ana"}).caller(ctx, &env{lookup: os.LookupEnv})
	if err != nil {
		b.Fatal(err)
	}
	var first []time.Duration
	n := 0
	one := func() {
		n++
		begun := time.Now()
		res, err := a.request(ctx, http.MethodPost, "/api/ana/chat", map[string]string{"id": fmt.Sprint("m", n), "message": "hello"})
		if err != nil {
			b.Fatal(err)
		}
		seen := false
		err = frames(res.Body, func(f frame) (bool, error) {
			if f.Type == "delta" && !seen {
				seen = true
				first = append(first, time.Since(begun))
			}
			return true, nil
		})
		if err := res.Body.Close(); err != nil {
			b.Fatal(err)
		}
		if err != nil || !seen {
			b.Fatalf("no delta: %v", err)
		}
	}
	for range 20 { // connections, caches and files are warm after these
		one()
	}
	first = first[:0]
	for b.Loop() {
		one()
	}
	slices.Sort(first)
	ms := func(q float64) float64 { return float64(first[int(q*float64(len(first)-1))].Microseconds()) / 1000 }
	b.ReportMetric(ms(0.5), "p50-ms")
	b.ReportMetric(ms(0.99), "p99-ms")
	b.ReportMetric(0, "ns/op")
}
