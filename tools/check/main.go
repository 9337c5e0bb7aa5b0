package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are what the command line and the environment ask for.
type options struct {
	full   bool
	strict bool
	list   bool
	proof  string
	only   []string
}

func parse(args []string, lookup func(string) (string, bool), stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("check", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.BoolVar(&o.full, "full", false, "add the long proofs")
	fs.BoolVar(&o.strict, "strict", false, "what cannot run is a failure, and so is a skipped test (implied by CI=true)")
	fs.BoolVar(&o.list, "list", false, "print the phases and exit")
	fs.StringVar(&o.proof, "proof", "", "write the summary as Markdown to this `file`")
	only := fs.String("only", "", "run only these `phases` (comma-separated) and what they need")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		err := fmt.Errorf("unexpected argument %q", fs.Arg(0))
		fmt.Fprintln(stderr, err)
		return o, err
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	if ci, _ := lookup("CI"); ci == "true" || ci == "1" {
		o.strict = true
	}
	return o, nil
}

func run(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	o, err := parse(args, lookup, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	table := phases()
	if err := validate(table); err != nil {
		panic(err) // a mistake in the table, not in the tree under check
	}
	if o.list {
		printTable(stdout, table)
		return 0
	}
	table, err = choose(table, o)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	// From here on something may fail: the closing line is owed.
	cwd, err := os.Getwd()
	if err != nil {
		return refuse(stdout, err)
	}
	root, err := findRoot(cwd)
	if err != nil {
		return refuse(stdout, err)
	}
	ws, err := openWorkspace(root)
	if err != nil {
		return refuse(stdout, err)
	}
	defer ws.close()

	rep := newReport(stdout, isTerminal(stdout), o.strict)
	rep.header(ws.logs, o)
	start := time.Now()
	results := schedule(ctx, table, slots, env{ws: ws, kit: newKit(lookup), opts: o}, rep)
	sum := summarize(results, o.strict)
	rep.summary(results, sum, time.Since(start))
	if o.proof != "" {
		if err := writeProof(o.proof, proof{at: start, where: describe(root), opts: o, results: results, sum: sum, took: time.Since(start)}); err != nil {
			rep.loud("could not write the proof: " + err.Error())
			sum.failed++
		}
	}
	rep.closing(sum)
	if sum.failed > 0 {
		return 1
	}
	return 0
}

// refuse ends a check that could not begin, with the closing line all the same.
func refuse(w io.Writer, err error) int {
	fmt.Fprintf(w, "check: %v\n", err)
	newReport(w, false, false).closing(summary{failed: 1})
	return 1
}

// choose keeps the phases that this run is about. Without --full the long ones
// are left out; --only names phases and brings along what they need.
func choose(table []phase, o options) ([]phase, error) {
	if len(o.only) == 0 {
		return slices.DeleteFunc(table, func(p phase) bool { return p.full && !o.full }), nil
	}
	byName := make(map[string]phase, len(table))
	for _, p := range table {
		byName[p.name] = p
	}
	wanted := map[string]bool{}
	var want func(name string) error
	want = func(name string) error {
		p, ok := byName[name]
		if !ok {
			return fmt.Errorf("no phase %q; --list prints them", name)
		}
		if wanted[name] {
			return nil
		}
		wanted[name] = true
		for _, n := range p.needs {
			if err := want(n); err != nil {
				return err
			}
		}
		return nil
	}
	for _, name := range o.only {
		if err := want(strings.TrimSpace(name)); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(table, func(p phase) bool { return !wanted[p.name] }), nil
}

// findRoot walks up from dir to the directory of Parley's go.mod, so that the
// check can be started anywhere in the tree.
func findRoot(dir string) (string, error) {
	for d := dir; ; d = filepath.Dir(d) {
		b, err := os.ReadFile(filepath.Join(d, "go.mod"))
		if err == nil && strings.HasPrefix(string(b), "module "+modulePath+"\n") {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("%s is not inside a checkout of %s", dir, modulePath)
		}
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull
}
