package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func shellJob(t *testing.T) (*job, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	return &job{env: env{ws: &workspace{root: t.TempDir()}}, log: &log}, &log
}

func TestExec(t *testing.T) {
	t.Parallel()
	j, log := shellJob(t)
	out, err := j.output(t.Context(), command{env: []string{"SAID=hello"}, args: []string{"sh", "-c", `echo "$SAID"; echo trouble >&2; cat; exit 3`}})
	if out != "hello\n" { // and cat found an empty standard input
		t.Errorf("out = %q", out)
	}
	if ee, ok := errors.AsType[*exec.ExitError](err); !ok || ee.ExitCode() != 3 {
		t.Errorf("err = %v", err)
	}
	for _, want := range []string{"$ SAID=hello sh -c", "hello\n", "trouble\n"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log %q lacks %q", log, want)
		}
	}
	if _, err := j.output(t.Context(), command{args: []string{"no-such-program-here"}}); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("err = %v", err)
	}
}

// What a phase started does not outlive it, also if it started others.
func TestExecEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	j, _ := shellJob(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	fifo := j.ws.path("held")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, 1)
	go func() { errs <- j.exec(ctx, command{args: []string{"sh", "-c", "sleep 600 >held & wait"}}) }()
	held, err := os.Open(fifo) // returns when the grandchild has opened it
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	cancel()
	if err := <-errs; err == nil {
		t.Error("a command that was stopped reports no error")
	}
	// The end of the file is the end of the last process that holds it.
	if err := held.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := held.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the grandchild is still alive: %v", err)
	}
}

func TestCleanEnv(t *testing.T) {
	t.Parallel()
	got := cleanEnv([]string{
		"PATH=/bin", "OPENAI_API_KEY=secret", "OPENAI_BASE_URL=x", "PARLEY_DATABASE_URL=prod",
		"PARLEY_POSTGRES_BIN=/opt/pg", "PARLEY_TEST_POSTGRES_MAJOR=18", "TEST_DATABASE_URL=y",
	})
	want := []string{"PATH=/bin", "PARLEY_POSTGRES_BIN=/opt/pg", "PARLEY_TEST_POSTGRES_MAJOR=18", "TEST_DATABASE_URL=y"}
	if !slices.Equal(got[:min(len(want), len(got))], want) || strings.Contains(strings.Join(got, " "), "secret") {
		t.Errorf("cleanEnv = %q", got)
	}
}

func TestBounded(t *testing.T) {
	t.Parallel()
	short := "one\ntwo"
	if got := bounded(short, 100); got != short {
		t.Errorf("bounded = %q", got)
	}
	long := "first line\n" + strings.Repeat("middle\n", 1000) + "last line"
	got := bounded(long, 200)
	if !strings.HasPrefix(got, "first line\n") || !strings.HasSuffix(got, "\nlast line") || !strings.Contains(got, "bytes left out") || len(got) > 260 {
		t.Errorf("bounded = %q", got)
	}
	if got := bounded(strings.Repeat("x", 500), 100); len(got) > 160 {
		t.Errorf("one long line = %d bytes", len(got))
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	var tl tail
	for i := range 20_000 {
		tl.Write([]byte("line " + strconv.Itoa(i) + "\n"))
	}
	got := tl.String()
	if len(got) > 2*maxDetail+8 || !strings.HasSuffix(got, "line 19999") || !strings.HasPrefix(got, "…") {
		t.Errorf("%d bytes, ending %q", len(got), got[len(got)-20:])
	}
}
