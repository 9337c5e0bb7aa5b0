package bench

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestPercentiles(t *testing.T) {
	t.Parallel()
	var s samples
	for i := range 1000 {
		s = append(s, time.Duration(i+1)*time.Millisecond)
	}
	rand.Shuffle(len(s), func(i, k int) { s[i], s[k] = s[k], s[i] })
	want := Spread{N: 1000, P50: 500, P95: 950, P99: 990, Max: 1000}
	if d := cmp.Diff(want, s.spread()); d != "" {
		t.Error(d)
	}
	one := samples{7 * time.Millisecond}
	if d := cmp.Diff(Spread{N: 1, P50: 7, P95: 7, P99: 7, Max: 7}, one.spread()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(Spread{}, samples(nil).spread()); d != "" {
		t.Error(d)
	}
}

func answerOf(a ask) string {
	var b []byte
	for i := range a.Tokens {
		b = appendToken(b, i, a.Size)
	}
	return string(b)
}

func TestCountsWhatIsMissingAndWhatIsTwice(t *testing.T) {
	t.Parallel()
	a := ask{Key: "k", Tokens: 100, Size: tokenSize}
	whole := answerOf(a)
	if len(whole) != 600 {
		t.Fatalf("%d bytes", len(whole))
	}
	for _, c := range []struct {
		name          string
		text          string
		lost, doubled int
	}{
		{"whole", whole, 0, 0},
		{"nothing", "", 100, 0},
		{"without the last two", whole[:588], 2, 0},
		{"without one inside", whole[:60] + whole[66:], 1, 0},
		{"one twice", whole[:66] + whole[60:], 0, 1},
		{"whole twice", whole + whole, 0, 100},
		{"cut within a token", whole[:597], 1, 1},
		{"something else", whole + "hello ", 0, 1},
	} {
		lost, doubled := a.count(c.text)
		if lost != c.lost || doubled != c.doubled {
			t.Errorf("%s: %d lost, %d doubled, want %d and %d", c.name, lost, doubled, c.lost, c.doubled)
		}
	}
}

func TestAskTravelsAsText(t *testing.T) {
	t.Parallel()
	a := ask{Key: "ana-1", Tokens: 10, Rate: 50, Size: 6, DelayMS: 20, Tool: true}
	got, ok := parseAsk(a.text())
	if !ok || got != a {
		t.Errorf("%+v, %v", got, ok)
	}
	for _, text := range []string{"hello", `{"bench":"k"}`, `{"bench":"k","tokens":99999999,"size":6}`, `{"bench":"k","tokens":5,"size":1}`} {
		if _, ok := parseAsk(text); ok {
			t.Errorf("%s is taken for an ask", text)
		}
	}
}

func TestDeltaIsReadLikeAnyFrame(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "0000a ", "a b c", "\"quoted\" and \\ back", "line\nbreak", "ü"} {
		d := events.Delta{ConversationID: "c1", RunID: "r1", Step: 2, Attempt: 3, Offset: 41, Text: text}
		f, err := decodeFrame(d.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		want := serverFrame{Type: "delta", ConversationID: "c1", RunID: "r1", Step: 2, Attempt: 3, Offset: 41, Text: text}
		if d := cmp.Diff(want, f, cmp.AllowUnexported(serverFrame{})); d != "" {
			t.Error(d)
		}
	}
}

// The floor and the model together, over real sockets: every token arrives once,
// and none was written before its time.
func TestFloorPassesOnWhatThePacedModelWrites(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	b := &bench{o: Options{For: time.Second}, clock: newClock(), book: newBook(), name: "t"}
	mux := http.NewServeMux()
	mux.Handle("POST /v1/chat/completions", &model{b.clock, b.book})
	model := httptest.NewServer(mux)
	t.Cleanup(model.Close)
	floor := httptest.NewServer(Floor{ModelURL: model.URL + "/v1"}.handler(ctx))
	t.Cleanup(floor.Close)
	c := b.newClient(door{url: floor.URL}, "ana", window{0, time.Hour})
	if err := c.connect(ctx); err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := c.say(ask{Tokens: 40, Rate: 400, Size: tokenSize, DelayMS: 5}); err != nil {
		t.Fatal(err)
	}
	if err := c.follow(time.Second); err != nil {
		t.Fatal(err)
	}
	if c.lost != 0 || c.doubled != 0 || c.tokens != 40 || c.runs != 1 || c.err != nil {
		t.Errorf("lost %d, doubled %d, tokens %d, runs %d, %v", c.lost, c.doubled, c.tokens, c.runs, c.err)
	}
	call := b.book.last(c.ask.Key)
	for i := range 40 {
		at, ok := call.at(i)
		due := call.received + 5*time.Millisecond + time.Duration(i)*2500*time.Microsecond
		if !ok || at < due {
			t.Errorf("token %d was written at %v, due at %v", i, at, due)
		}
	}
	if len(c.delivery) != 40 || slices.Min(c.delivery) <= 0 || len(c.first) != 1 {
		t.Errorf("deliveries %v, first %v", c.delivery, c.first)
	}
}

func TestParsesProc(t *testing.T) {
	t.Parallel()
	s, err := parseStat([]byte("42 (a (strange) name) S 7 42 42 0 -1 4194560 1 2 3 4 150 50 30 20 20 0 9 0 100 1 2"))
	if err != nil || s != (cpuStat{parent: 7, own: 2 * time.Second, children: 500 * time.Millisecond}) {
		t.Errorf("%+v, %v", s, err)
	}
	m, err := parseMachine([]byte("cpu  100 20 30 800 50 0 5 10 7 0\ncpu0 1 1 1 1\n"))
	if err != nil || m.all != 10150*time.Millisecond || m.busy != 1650*time.Millisecond || m.steal != 100*time.Millisecond {
		t.Errorf("%+v, %v", m, err)
	}
	for _, bad := range []string{"", "42 (x) S", "cpu 1 2"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("stat %q is read", bad)
		}
		if _, err := parseMachine([]byte(bad)); err == nil {
			t.Errorf("machine %q is read", bad)
		}
	}
}

func TestComparison(t *testing.T) {
	t.Parallel()
	line := func(mode string, calm bool, first float64) Line {
		return Line{Mode: mode, Level: 50, Calm: calm, Ratio: map[string]float64{"first_p50": first, "cpu": 2}}
	}
	without := func(mode string) Line { return Line{Mode: mode, Level: 50, Calm: true} }
	half := func(first float64) Line {
		return Line{Mode: "slow", Level: 50, Calm: true, Ratio: map[string]float64{"first_p50": first}}
	}
	earlier := []Line{line("stream", true, 9), line("stream", true, 4), line("tool", false, 4), without("grow"), line("kill", true, 4), half(4)}
	for _, c := range []struct {
		name    string
		now     Line
		verdict string
		worse   bool
	}{
		{"a little more is noise", line("stream", true, 4.9), "no ratio is worse", false},
		{"a quarter more is not", line("stream", true, 5.1), "worse in 1 of 2 ratios", true},
		{"nothing can be said on a busy machine", line("stream", false, 50), "not calm, no verdict", false},
		{"nor against a busy one", line("tool", true, 50), "not calm, no verdict", false},
		{"nor about what was not measured", line("idle", true, 50), "the earlier run has no such level", false},
		{"nor without ratios", without("kill"), "it has no ratio, no verdict", false},
		{"nor against a line without them", line("grow", true, 50), "the earlier run has none of its ratios, no verdict", false},
		{"what both have is compared", line("slow", true, 4), "no ratio is worse; the earlier run lacks cpu", false},
		{"and may be worse", line("slow", true, 6), "worse in 1 of 2 ratios; the earlier run lacks cpu", true},
	} {
		verdict, err := against(earlier, &c.now)
		if verdict != c.verdict || errors.Is(err, ErrWorse) != c.worse {
			t.Errorf("%s: %q, %v", c.name, verdict, err)
		}
	}
}

func TestLineSurvivesItsFileAndIsShown(t *testing.T) {
	t.Parallel()
	var file, shown strings.Builder
	b := &bench{o: Options{Lines: &file, Table: &shown}}
	l := b.line("stream", 50)
	run := samples{2 * time.Millisecond, 3 * time.Millisecond}
	l.Figures = figures(&tally{first: run, delivery: run, tokens: 1000, runs: 2}, usage{
		cpu: map[string]time.Duration{"edge": time.Second, "bench": time.Second}, peak: map[string]int64{"edge": 40 << 20}, length: 10 * time.Second,
	})
	floor := figures(&tally{first: samples{time.Millisecond}, tokens: 1000}, usage{cpu: map[string]time.Duration{"floor": 250 * time.Millisecond}, length: time.Second})
	l.Floor = &floor
	l.relate()
	l.judge()
	if want := map[string]float64{"first_p50": 2, "first_p99": 3, "cpu": 4}; !cmp.Equal(l.Ratio, want) {
		t.Error(cmp.Diff(want, l.Ratio))
	}
	if err := b.write(l); err != nil {
		t.Fatal(err)
	}
	back, err := ReadLines(strings.NewReader(file.String()))
	if err != nil || len(back) != 1 {
		t.Fatal(back, err)
	}
	if d := cmp.Diff(*l, back[0], cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
	table := &table{&shown}
	if err := errors.Join(table.head(), table.row(l)); err != nil {
		t.Fatal(err)
	}
	l.details(&shown)
	for _, want := range []string{"  floor", "stream  ", "not calm", "budget: CPU per 1,000 tokens, all processes 1 s, wanted 0.2: missed", "lost or doubled 0 tokens, wanted 0: met"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("%q is not shown in\n%s", want, shown.String())
		}
	}
}

func TestRefusesWhatItCannotMeasure(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"unknown mode":     {Modes: []string{"warp"}},
		"no model of ours": {URL: "http://127.0.0.1:1"},
		"level 0":          {Levels: []int{0}},
		"a day":            {For: 24 * time.Hour},
	} {
		if err := Run(t.Context(), o); !errors.As(err, new(UsageError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
