// Command parley is Parley: a self-hosted chat that acts. One binary holds every
// role; parley dev runs them all on one machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	_ "time/tzdata" // the image holds no zone files, and people's "today" needs theirs

	"github.com/alecthomas/kong"
)

// version is set when a release is built (-ldflags "-X main.version=…").
var version = "dev"

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr)) }

// An env is what a command may use of the world around it.
type env struct {
	lookup         func(string) (string, bool)
	stdout, stderr io.Writer
	logger         *slog.Logger
	// natsErrors counts what went wrong on the process's connections without an
	// answer to somebody: a refused permission, a subscriber that does not keep up.
	natsErrors atomic.Uint64
}

// A usageError is a wrong setting: nothing was tried, exit code 2.
type usageError struct{ error }

func usagef(format string, a ...any) error { return usageError{fmt.Errorf(format, a...)} }

// commands are the subcommands with their flags.
type commands struct {
	Logging

	Dev         devCmd         `cmd:"" help:"Run everything on this machine: page, model, NATS, Postgres."`
	Edge        edgeCmd        `cmd:"" help:"Serve the page, HTTP and WebSocket."`
	Agentworker agentworkerCmd `cmd:"" help:"Answer messages with the model."`
	Toolworker  toolworkerCmd  `cmd:"" help:"Carry out tool calls."`
	Recorder    recorderCmd    `cmd:"" help:"Copy the log into Postgres."`
	Provision   provisionCmd   `cmd:"" help:"Create streams, consumers and tables; safe to repeat."`
	Token       tokenCmd       `cmd:"" help:"Print a token of the dev issuer."`
	Chat        chatCmd        `cmd:"" help:"Chat in the terminal."`
	Tail        tailCmd        `cmd:"" help:"Print events as they happen."`
	Replay      replayCmd      `cmd:"" help:"Print a conversation's history, commit by commit."`
	Verify      verifyCmd      `cmd:"" help:"Check every row of the database against the archive; exit code 1 if one differs."`
	Rebuild     rebuildCmd     `cmd:"" help:"Write the read models again from the archive, while serving."`
	Bench       benchCmd       `cmd:"" help:"Measure a Parley of its own, or one that runs."`
	BenchFloor  benchFloorCmd  `cmd:"" hidden:"" help:"The bare proxy that the bench compares with."`
	Nats        natsCmd        `cmd:"" hidden:"" help:"The embedded message server alone, for the bench."`
	Healthcheck healthcheckCmd `cmd:"" help:"Exit 0 if a role's admin or page address says it is ready."`
	Flags       flagsCmd       `cmd:"" hidden:"" help:"Print the table of settings."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

// run parses args, carries the command out, and returns the exit code. Errors
// go to stderr as one sentence.
func run(ctx context.Context, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	var c commands
	code := -1
	parser, err := newParser(&c, stdout, stderr, func(n int) { code = n })
	if err != nil {
		fmt.Fprintln(stderr, "parley:", err)
		return exitUsage
	}
	parsed, err := parser.Parse(args)
	if code >= 0 { // --help has been printed
		return code
	}
	if err != nil {
		fmt.Fprintln(stderr, "parley:", err)
		return exitUsage
	}
	logger, err := c.logger(stderr, parsed.Command())
	if err != nil {
		fmt.Fprintln(stderr, "parley:", err)
		return exitUsage
	}
	signals := []os.Signal{syscall.SIGTERM, os.Interrupt}
	if strings.HasPrefix(parsed.Command(), "chat") {
		signals = signals[:1] // there Ctrl-C stops an answer, not the program
	}
	ctx, stop := signal.NotifyContext(ctx, signals...)
	defer stop()
	e := &env{lookup: lookup, stdout: stdout, stderr: stderr, logger: logger}
	parsed.BindTo(ctx, (*context.Context)(nil))
	switch err := parsed.Run(e); {
	case err == nil:
		return exitDone
	case errors.As(err, new(usageError)):
		fmt.Fprintln(stderr, "parley:", err)
		return exitUsage
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitFailed
	default:
		fmt.Fprintln(stderr, "parley:", err)
		return exitFailed
	}
}

func newParser(c *commands, stdout, stderr io.Writer, exit func(int)) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("parley"),
		kong.Description("A self-hosted AI chat that acts. Never lost, never twice, stops when told, and anyone may check."),
		kong.DefaultEnvars("PARLEY"),
		kong.Writers(stdout, stderr),
		kong.Exit(exit),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
}
