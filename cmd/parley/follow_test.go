package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/parleychat/parley/internal/testkit"
)

// A parley dev that was killed comes back with another port, password and model
// address. What had joined it serves it again, and nobody touched that.
func TestJoinedRolesFollowTheirDev(t *testing.T) {
	t.Parallel()
	ctx, dir := testkit.Context(t), testkit.DataDir(t)
	first := parley(t, nil, devArgs(dir)...)
	first.expect(ctx, "Ctrl-C stops it")
	agent := parley(t, nil, "agentworker", "--join", dir)
	started := map[*process]string{
		agent: `"agentworker started"`,
		parley(t, nil, "toolworker", "--join", dir):                    `"toolworker started"`,
		parley(t, nil, "recorder", "--join", dir):                      `"joined"`, // dev's own records
		parley(t, nil, "edge", "--join", dir, "--addr", "127.0.0.1:0"): `"edge is up"`,
	}
	for p, line := range started {
		p.expect(ctx, line)
	}
	said := map[*process]int{}
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-first.done
	for p := range started {
		said[p] = len(p.output())
	}
	parley(t, nil, devArgs(dir)...).expect(ctx, "Ctrl-C stops it")
	for p, line := range started {
		p.expectAfter(ctx, said[p], line)
	}
	// The worker answers: one of the next messages is its.
	worker := workerOf(t, agent.output()[said[agent]:])
	a, err := (&Client{DataDir: dir, User: "ana"}).caller(ctx, &env{lookup: os.LookupEnv})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		if i == 100 {
			t.Fatalf("none of %d messages was taken by the joined worker", i)
		}
		log := ask(ctx, t, a, "m"+strconv.Itoa(i), "hello")
		if strings.Contains(log, `"run.completed"`) && strings.Contains(log, `"worker":"`+worker+`"`) {
			break
		}
	}
	for p := range started {
		if code, _ := p.stop(ctx); code != exitDone {
			t.Errorf("%v: exit code %d", p.cmd.Args[1:], code)
		}
	}
}

// ask sends a message, waits for the end of its answer, and returns its commits.
func ask(ctx context.Context, t *testing.T, a *caller, id, text string) string {
	t.Helper()
	res, err := a.request(ctx, http.MethodPost, "/api/"+a.user+"/chat", map[string]string{"id": id, "message": text})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // read to its end
	var log strings.Builder
	if err := frames(res.Body, func(f frame) (bool, error) {
		log.Write(f.Commit)
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	return log.String()
}

// workerOf returns the name under which an agentworker says that it started.
func workerOf(t *testing.T, log string) string {
	t.Helper()
	for line := range strings.Lines(log) {
		var said struct{ Msg, Worker string }
		if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "agentworker started" && said.Worker != "" {
			return said.Worker
		}
	}
	t.Fatalf("no worker names itself in %s", log)
	return ""
}
