package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Figures are what one load cost and how it felt.
type Figures struct {
	Seconds  float64 `json:"seconds"`
	Tokens   int     `json:"tokens"`
	Runs     int     `json:"runs"`
	Accepted Spread  `json:"accepted"`
	First    Spread  `json:"first"`    // message → first piece, without the model's own time
	Delivery Spread  `json:"delivery"` // the model's write → the client's read
	Gap      Spread  `json:"gap"`      // between two pieces of one answer
	Run      Spread  `json:"run"`      // message → the commit that ends its run
	Lost     int     `json:"lost"`
	Doubled  int     `json:"doubled"`
	// CPU is in seconds per 1,000 tokens, by process; CPUTotal leaves out the bench.
	CPU      map[string]float64 `json:"cpu_s_per_1000_tokens,omitempty"`
	CPUTotal float64            `json:"cpu_s_per_1000_tokens_total,omitzero"`
	// Busy is processor seconds per second, by process: where there are no tokens.
	Busy    map[string]float64 `json:"busy,omitempty"`
	PeakMiB map[string]float64 `json:"peak_mib,omitempty"`
	Failure string             `json:"failure,omitzero"`
}

// A Line is one level of one mode, as it is written to the JSON file.
type Line struct {
	Time    time.Time `json:"time"`
	Version string    `json:"version"`
	Mode    string    `json:"mode"`
	Level   int       `json:"level"`
	Figures
	Floor *Figures `json:"floor,omitempty"`
	// Ratio is what is compared between two runs, see [Line.relate]: figures over
	// the floor's, or over another yardstick of the same run.
	Ratio map[string]float64 `json:"ratio,omitempty"`
	// Extra is what only this mode measures.
	Extra   map[string]float64 `json:"extra,omitempty"`
	Machine Machine            `json:"machine"`
	Calm    bool               `json:"calm"`
	Budgets []Verdict          `json:"budgets,omitempty"`
}

// A Verdict is one budget and what was measured.
type Verdict struct {
	What string  `json:"what"`
	Got  float64 `json:"got"`
	Want float64 `json:"want"`
	Unit string  `json:"unit"`
	Met  bool    `json:"met"`
}

func figures(t *tally, u usage) Figures {
	f := Figures{
		Seconds: round(u.length.Seconds(), 1), Tokens: t.tokens, Runs: t.runs,
		Accepted: t.accepted.spread(), First: t.first.spread(), Delivery: t.delivery.spread(), Gap: t.gap.spread(), Run: t.run.spread(),
		Lost: t.lost, Doubled: t.doubled, CPU: map[string]float64{}, Busy: map[string]float64{}, PeakMiB: map[string]float64{},
	}
	if t.err != nil {
		f.Failure = t.err.Error()
	}
	for role, d := range u.cpu {
		f.Busy[role] = round(d.Seconds()/u.length.Seconds(), 3)
		if t.tokens == 0 {
			continue
		}
		per := d.Seconds() / float64(t.tokens) * 1000
		f.CPU[role] = round(per, 4)
		if role != "bench" {
			f.CPUTotal += per
		}
	}
	f.CPUTotal = round(f.CPUTotal, 4)
	for role, n := range u.peak {
		f.PeakMiB[role] = round(float64(n)/(1<<20), 1)
	}
	return f
}

// A table shows lines to a person as they come, so its columns have fixed widths.
type table struct{ w io.Writer }

var columns = []string{
	"mode    ", "level", " runs", " tokens", "accepted p99", "first p50", "  p95", "  p99", "delivery p50", "  p99", "gap p99", "run p50", "   p99",
	"lost", "doubled", "CPU s/1000", "peak MiB", "others", "",
}

func (t *table) head() error {
	_, err := fmt.Fprintln(t.w, strings.Join(columns, "  "))
	return err
}

// row writes a line, and its floor above it.
func (t *table) row(l *Line) error {
	if l.Floor != nil {
		if err := t.figures("  floor", l.Level, l.Floor, "", ""); err != nil {
			return err
		}
	}
	note := ""
	if !l.Calm {
		note = "not calm"
	}
	return t.figures(l.Mode, l.Level, &l.Figures, fmt.Sprintf("%.0f %%", l.Machine.Others*100), note)
}

func (t *table) figures(mode string, level int, f *Figures, others, note string) error {
	num := func(s Spread, v float64) string {
		if s.N == 0 {
			return "-"
		}
		return fmt.Sprintf("%.2f", v)
	}
	var peak float64
	for role, m := range f.PeakMiB {
		if role != "bench" {
			peak += m
		}
	}
	cpu := "-"
	if f.CPUTotal > 0 {
		cpu = fmt.Sprintf("%.3f", f.CPUTotal)
	}
	cells := []string{
		mode, fmt.Sprint(level), fmt.Sprint(f.Runs), fmt.Sprint(f.Tokens), num(f.Accepted, f.Accepted.P99),
		num(f.First, f.First.P50), num(f.First, f.First.P95), num(f.First, f.First.P99),
		num(f.Delivery, f.Delivery.P50), num(f.Delivery, f.Delivery.P99), num(f.Gap, f.Gap.P99), num(f.Run, f.Run.P50), num(f.Run, f.Run.P99),
		fmt.Sprint(f.Lost), fmt.Sprint(f.Doubled), cpu, fmt.Sprintf("%.0f", peak), others, note,
	}
	for i, c := range cells {
		if width := len(columns[i]); i == 0 {
			cells[i] = fmt.Sprintf("%-*s", width, c)
		} else {
			cells[i] = fmt.Sprintf("%*s", width, c)
		}
	}
	_, err := fmt.Fprintln(t.w, strings.Join(cells, "  "))
	return err
}

// details writes what the row has no column for.
func (l *Line) details(w io.Writer) {
	show := func(name string, m map[string]float64) {
		if len(m) == 0 {
			return
		}
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(m)) {
			parts = append(parts, fmt.Sprintf("%s %g", k, m[k]))
		}
		fmt.Fprintf(w, "    %s: %s\n", name, strings.Join(parts, ", "))
	}
	show("ratios", l.Ratio)
	show("CPU s per 1,000 tokens", l.CPU)
	show("this mode", l.Extra)
	fmt.Fprintf(w, "    machine: fsync %.2f ms", l.Machine.Fsync)
	if l.Machine.Commit > 0 {
		fmt.Fprintf(w, ", Postgres commit %.2f ms", l.Machine.Commit)
	}
	fmt.Fprintf(w, ", others %.0f %% of the processors, stolen %.0f %%\n", l.Machine.Others*100, l.Machine.Steal*100)
	for _, v := range l.Budgets {
		word := "met"
		if !v.Met {
			word = "missed"
		}
		fmt.Fprintf(w, "    budget: %s %.3g %s, wanted %.3g: %s\n", v.What, v.Got, v.Unit, v.Want, word)
	}
	if l.Failure != "" {
		fmt.Fprintf(w, "    failure: %s\n", l.Failure)
	}
}
