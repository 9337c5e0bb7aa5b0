package bench

import (
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/parleychat/parley/internal/testkit"
)

// recorded are lines of 27 November 2026, without ratios and budgets. Those of
// resume and fanout had no floor yet and get one here.
func recorded(t *testing.T) map[string]Line {
	t.Helper()
	f, err := os.Open("testdata/lines.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := ReadLines(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]Line{}
	for _, l := range list {
		switch l.Mode {
		case "resume":
			l.Extra["open_p50_floor_ms"], l.Extra["open_p99_floor_ms"] = 20, 40
		case "fanout":
			l.Floor = &Figures{First: Spread{N: 10, P50: 1, P99: 1}, Delivery: Spread{N: 25000, P50: 0.4, P99: 0.8}, CPUTotal: 0.02}
		}
		lines[fmt.Sprintf("%s %d", l.Mode, l.Level)] = l
	}
	return lines
}

func TestRatiosAndVerdictsOfRecordedLines(t *testing.T) {
	t.Parallel()
	type m map[string]float64
	want := map[string]struct {
		ratios m
		missed []string
	}{
		"stream 1":   {m{"first_p50": 9.204, "first_p99": 65.521, "delivery_p50": 2.373, "delivery_p99": 3.226, "cpu": 10.208}, []string{"message → first delta p50"}},
		"stream 50":  {m{"first_p50": 36.745, "first_p99": 197.266, "delivery_p50": 1.61, "delivery_p99": 194.781, "cpu": 6.404}, []string{"message → first delta p50", "message → first delta p99", "delta delivery p99", "CPU per 1,000 tokens, all processes"}},
		"stream 200": {m{"first_p50": 4.957, "first_p99": 11.871, "delivery_p50": 0.813, "delivery_p99": 3.028, "cpu": 5.165}, []string{"delta delivery p99"}},
		"stream 500": {m{"first_p50": 1094.62, "first_p99": 501.751, "delivery_p50": 40.358, "delivery_p99": 65.382, "cpu": 2.409}, nil},
		"tool 1":     {m{"run_p50": 1.621}, []string{"run with one tool call p50"}},
		"tool 8":     {m{"run_p50": 1.017}, nil},
		"idle 5000":  {m{"kib_per_socket": 1.226}, nil},
		"resume 200": {m{"back_p50": 2.223, "back_p99": 1.439}, nil},
		"fanout 100": {m{"delivery_p50": 3.258, "delivery_p99": 2.169, "cpu": 1.66}, nil},
		"slow 50":    {m{"delivery_p50_to_reading": 0.868, "delivery_p99_to_reading": 0.262}, nil},
		"slow 3":     {m{"delivery_p50_to_reading": 1.095, "delivery_p99_to_reading": 2.947}, []string{"delivery p99 beside readers that stall, against beside ones that read"}},
		"kill 20":    {m{"next_text": 0.875}, nil},
		"scale 1":    {m{"slots_to_runs_per_s": 1}, nil},
		"scale 2":    {m{"slots_to_runs_per_s": 1, "linear_to_runs_per_s": 1}, nil},
		"scale 4":    {m{"slots_to_runs_per_s": 1.006, "linear_to_runs_per_s": 1.006}, nil},
		"grow 500":   {m{"to_empty": 1.465}, []string{"first delta against an empty conversation"}},
		"grow 5000":  {m{"to_empty": 1.75}, []string{"first delta against an empty conversation"}},
	}
	lines := recorded(t)
	if d := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(lines))); d != "" {
		t.Fatalf("other lines are recorded (-want +got):\n%s", d)
	}
	for name, w := range want {
		l := lines[name]
		l.relate()
		l.judge()
		if d := cmp.Diff(map[string]float64(w.ratios), l.Ratio, cmpopts.EquateApprox(0, 0.002)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		var missed []string
		for _, v := range l.Budgets {
			if !v.Met {
				missed = append(missed, v.What)
			}
		}
		if d := cmp.Diff(w.missed, missed); d != "" {
			t.Errorf("%s misses (-want +got):\n%s", name, d)
		}
	}
}

// What misses when it got worse in the way in which only its mode can tell.
func TestVerdictsOfWorseLines(t *testing.T) {
	t.Parallel()
	lines := recorded(t)
	for _, c := range []struct {
		line, extra string
		value       float64
		missed      string
	}{
		{"kill 20", "next_text_s", 16.01, "worker killed → next text"},
		{"idle 5000", "kib_per_socket", 12.1, "idle socket on the edge"},
		{"scale 4", "linear", 0.89, "runs/s against linear"},
		{"scale 4", "uneven", 0.21, "spread of the load over workers"},
		{"slow 50", "reading_delivery_p99_ms", 3.2, "delivery p99 beside readers that stall, against beside ones that read"},
	} {
		l := lines[c.line]
		l.Extra = maps.Clone(l.Extra)
		l.Extra[c.extra] = c.value
		l.relate()
		l.judge()
		if !slices.ContainsFunc(l.Budgets, func(v Verdict) bool { return v.What == c.missed && !v.Met }) {
			t.Errorf("%s with %s %v does not miss %q: %v", c.line, c.extra, c.value, c.missed, l.Budgets)
		}
	}
}

// Every level of every mode can be worse than it was.
func TestEveryModeCanBeWorse(t *testing.T) {
	t.Parallel()
	lines := recorded(t)
	var tested []string
	for name, now := range lines {
		old := now
		tested = append(tested, now.Mode)
		old.Calm, now.Calm, now.Extra = true, true, map[string]float64{}
		maps.Copy(now.Extra, old.Extra)
		for _, s := range []*Spread{&now.First, &now.Delivery, &now.Run} {
			s.P50, s.P99 = 2*s.P50, 2*s.P99
		}
		now.CPUTotal *= 2
		for _, k := range []string{"kib_per_socket", "back_p50_ms", "back_p99_ms", "next_text_s", "first_p50_ms"} {
			now.Extra[k] *= 2
		}
		for _, k := range []string{"runs_per_s", "linear"} {
			now.Extra[k] /= 2
		}
		old.relate()
		now.relate()
		if verdict, err := against([]Line{old}, &now); !errors.Is(err, ErrWorse) {
			t.Errorf("%s is twice as bad and counts as %q, %v", name, verdict, err)
		}
		if verdict, err := against([]Line{old}, &old); err != nil || verdict != "no ratio is worse" {
			t.Errorf("%s compared with itself: %q, %v", name, verdict, err)
		}
	}
	for _, mode := range ModeNames() {
		if !slices.Contains(tested, mode) {
			t.Errorf("no line of %s is recorded", mode)
		}
	}
}

// Many sockets opened at once at a real door: each is waited for and counted.
func TestOpensAllSocketsAtOnce(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	b := &bench{o: Options{For: time.Second}, clock: newClock(), book: newBook(), name: "t"}
	floor := httptest.NewServer(Floor{}.handler(ctx))
	t.Cleanup(floor.Close)
	s, err := b.openAll(ctx, door{url: floor.URL}, "floor", 20)
	if err != nil || s.N != 20 || s.P50 <= 0 || s.P99 < s.P50 {
		t.Errorf("%+v, %v", s, err)
	}
	gone := httptest.NewServer(Floor{}.handler(ctx))
	gone.Close()
	if s, err := b.openAll(ctx, door{url: gone.URL}, "floor", 2); err == nil {
		t.Errorf("a door that is not there opens: %+v", s)
	}
}
