package bench

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// worseBy is how much a ratio may grow before it counts as worse.
const worseBy = 1.25

// maxLine bounds one line of an earlier run.
const maxLine = 1 << 20

// ReadLines reads the lines of an earlier run.
func ReadLines(r io.Reader) ([]Line, error) {
	var list []Line
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, maxLine)
	for scan.Scan() {
		if len(scan.Bytes()) == 0 {
			continue
		}
		var l Line
		if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(list)+1, err)
		}
		list = append(list, l)
	}
	return list, scan.Err()
}

// compare looks for the same mode and level in the earlier run, says how they
// relate, and returns ErrWorse if a ratio is worse and both machines were calm.
func (b *bench) compare(l *Line) error {
	if len(b.o.Compare) == 0 {
		return nil
	}
	verdict, err := against(b.o.Compare, l)
	if verdict != "" {
		fmt.Fprintf(b.o.Table, "    compared: %s\n", verdict)
	}
	return err
}

// against compares a line with the latest earlier one of its mode and level.
func against(earlier []Line, l *Line) (string, error) {
	i := -1
	for k, e := range earlier {
		if e.Mode == l.Mode && e.Level == l.Level {
			i = k
		}
	}
	if i < 0 {
		return "the earlier run has no such level", nil
	}
	old := earlier[i]
	if !l.Calm || !old.Calm {
		return "not calm, no verdict", nil
	}
	var worse []error
	var lacking []string
	for _, name := range slices.Sorted(maps.Keys(l.Ratio)) {
		was, now := old.Ratio[name], l.Ratio[name]
		switch {
		case was <= 0:
			lacking = append(lacking, name)
		case now > was*worseBy:
			worse = append(worse, fmt.Errorf("%w: %s %d: %s was %.3g and is %.3g", ErrWorse, l.Mode, l.Level, name, was, now))
		}
	}
	verdict := "no ratio is worse"
	switch {
	case len(l.Ratio) == 0:
		return "it has no ratio, no verdict", nil
	case len(lacking) == len(l.Ratio):
		return "the earlier run has none of its ratios, no verdict", nil
	case len(worse) > 0:
		verdict = fmt.Sprintf("worse in %d of %d ratios", len(worse), len(l.Ratio))
	}
	if len(lacking) > 0 {
		verdict += "; the earlier run lacks " + strings.Join(lacking, ", ")
	}
	return verdict, errors.Join(worse...)
}
