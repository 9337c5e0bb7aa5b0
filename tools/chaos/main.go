package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/parleychat/parley/internal/fault"
)

// options are what the command line says.
type options struct {
	last    time.Duration
	nodes   int
	seed    uint64
	persons int
	bin     string
	faults  string // the binary built with -tags faults
	plant   string
	tagged  bool // run the binary built with -tags faults
	plants  bool
	json    string
	dir     string
	keep    bool
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == natsMode {
		if err := runNATSNode(os.Args[2:], os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run returns 0 when nothing was violated (with --plants: when every bug was
// caught), 1 when something was, and 2 when it could not find out.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	if o.plants {
		return runPlants(ctx, o, stdout, stderr)
	}
	r, err := once(ctx, o, stdout)
	if err != nil {
		fmt.Fprintf(stderr, "chaos: seed %d: %v\n", o.seed, err)
		return 2
	}
	r.print(stdout)
	if o.json != "" {
		if err := writeJSON(o.json, r); err != nil {
			fmt.Fprintln(stderr, err)
			return 2
		}
	}
	if len(r.Violations) > 0 {
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{bin: os.Getenv("PARLEY_BIN"), faults: os.Getenv("PARLEY_FAULTS_BIN")}
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.DurationVar(&o.last, "for", time.Minute, "how long faults and load last")
	f.IntVar(&o.nodes, "nodes", 1, "NATS `nodes`: 1 or 3")
	f.Uint64Var(&o.seed, "seed", 0, "the seed of faults and clients; 0 takes a random one")
	f.IntVar(&o.persons, "persons", 24, "how many persons write")
	f.StringVar(&o.bin, "bin", o.bin, "the parley `binary` (PARLEY_BIN); default: build it")
	f.StringVar(&o.faults, "faults-bin", o.faults, "the `binary` built with -tags faults (PARLEY_FAULTS_BIN), for planted bugs; default: build it")
	f.StringVar(&o.plant, "plant", "", "switch one `bug` on")
	f.BoolVar(&o.tagged, "points", false, "let processes also kill themselves at fault points, with no bug planted")
	f.BoolVar(&o.plants, "plants", false, "run every planted bug, or that of --plant, and say which check catches it")
	f.StringVar(&o.json, "json", "", "write the outcome to this `file`")
	f.StringVar(&o.dir, "dir", "", "keep logs and histories in this `directory`; default: a temporary one")
	f.BoolVar(&o.keep, "keep", false, "keep the directory also when nothing was violated")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.tagged = o.tagged || o.plant != ""
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("chaos: unknown argument %q", f.Arg(0))
	case o.plant != "" && !slices.Contains(fault.Bugs(), fault.Bug(o.plant)):
		return o, fmt.Errorf("chaos: there is no bug %q; docs/faults.md lists them", o.plant)
	case o.nodes != 1 && o.nodes != 3:
		return o, errors.New("chaos: --nodes must be 1 or 3")
	case o.last <= 0 || o.persons < 2 || o.persons > maxPersons:
		return o, fmt.Errorf("chaos: --for must be positive and --persons 2 to %d", maxPersons)
	}
	for o.seed == 0 {
		o.seed = rand.Uint64() >> 32 // short enough to type again
	}
	return o, nil
}

func writeJSON(file string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("chaos: %w", err)
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}
