package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/embedded"
	"github.com/parleychat/parley/internal/testkit"
)

// devArgs start a dev on a free port, quick and without building the page.
func devArgs(dir string, more ...string) []string {
	return append([]string{"dev", "--addr", "127.0.0.1:0", "--data-dir", dir, "--no-build", "--demo-rate", "0"}, more...)
}

func TestDevAnswersKeepsAndStops(t *testing.T) {
	t.Parallel()
	ctx, dir := testkit.Context(t), testkit.DataDir(t)
	p := parley(t, nil, devArgs(dir)...)
	p.expect(ctx, "Ctrl-C stops it")
	ep, err := embedded.ReadEndpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{ // each phase with its time, then what a person needs
		`  page      not built +\d+\.\d\d s`,
		`  nats      embedded, JetStream on disk +\d+\.\d\d s`,
		`  postgres  \S+ 1[5-8][.\d]+ at /\S+ +\d+\.\d\d s`,
		`  schema    streams and tables +\d+\.\d\d s`,
		`Parley is ready after \d+\.\d s\.`,
		`  Open      ` + regexp.QuoteMeta(ep.HTTPURL),
		`  Model     Demo model, no AI \(set OPENAI_API_KEY, or --openai-base-url and --model, for a real one\)`,
		`  Postgres  \S+ 1[5-8][.\d]+ at /\S+`,
		`  Data      ` + regexp.QuoteMeta(dir),
		`  Join      parley agentworker --join ` + regexp.QuoteMeta(dir),
		`Ctrl-C stops it; nothing is lost\.`,
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(p.output()) {
			t.Errorf("the welcome has no line %s", line)
		}
	}
	say := parley(t, nil, "chat", "--data-dir", dir, "--user", "ana", "add buy milk")
	<-say.done
	if out := say.output(); say.cmd.ProcessState.ExitCode() != 0 || !strings.Contains(out, "add_task") || !strings.Contains(strings.ToLower(out), "buy milk") {
		t.Errorf("chat said %q", out)
	}
	code, token := ended(t, "token", "--data-dir", dir, "--user", "ben")
	if who, err := subject(strings.TrimSpace(token)); code != exitDone || err != nil || who != "ben" {
		t.Errorf("token --user ben: code %d, for %q, %v", code, who, err)
	}
	if code, out := ended(t, "chat", "--data-dir", dir, "--user", "ana", "--conversation", onlyConversation(ctx, t, dir, "ana"), "what is left?"); code != exitDone ||
		!regexp.MustCompile(`(?is)^> add buy milk\n  ✓ add_task \{.*buy milk.*\n.*buy milk.*\n\n.*buy milk`).MatchString(out) {
		t.Errorf("chat --conversation: code %d, %q", code, out)
	}
	second := parley(t, nil, devArgs(dir)...)
	<-second.done
	if code := second.cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(second.output(), "is in use by another parley") {
		t.Errorf("a second start: code %d, %q", code, second.output())
	}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(ep.HTTPURL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	third := parley(t, nil, "dev", "--addr", "127.0.0.1:"+port, "--data-dir", testkit.DataDir(t), "--no-build")
	<-third.done
	if code := third.cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(third.output(), "choose another address with --addr") {
		t.Errorf("a taken port: code %d, %q", code, third.output())
	}
	postmaster := childrenOf(t, p.cmd.Process.Pid)
	code, took := p.stop(ctx)
	if code != exitDone {
		t.Errorf("exit code %d after Ctrl-C", code)
	}
	// The promise is a second; a loaded machine gets some more.
	if took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if len(postmaster) == 0 {
		t.Error("no Postgres was running")
	}
	for _, pid := range postmaster {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d is left", pid)
		}
	}
	if _, err := embedded.ReadEndpoint(dir); err == nil {
		t.Error("the endpoint is still announced")
	}
	again := parley(t, nil, devArgs(dir)...)
	again.expect(ctx, "Ctrl-C stops it")
	if tasks := tasksOf(ctx, t, dir, "ana"); len(tasks) != 1 || !strings.Contains(strings.ToLower(tasks[0]), "milk") {
		t.Errorf("tasks after a restart: %q", tasks)
	}
}

// childrenOf returns the child processes of pid.
func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Skip("this test needs /proc")
	}
	var list []int
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join("/proc", e.Name(), "status"))
		if err != nil {
			continue
		}
		var id, parent int
		for line := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(line, "PPid:"); ok {
				parent = atoi(v)
			}
			if v, ok := strings.CutPrefix(line, "Pid:"); ok {
				id = atoi(v)
			}
		}
		if parent == pid {
			list = append(list, id)
		}
	}
	return list
}

func atoi(s string) int {
	n := 0
	for _, c := range strings.TrimSpace(s) {
		n = n*10 + int(c-'0')
	}
	return n
}

// onlyConversation returns the one conversation that a person has, once it is recorded.
func onlyConversation(ctx context.Context, t *testing.T, dir, user string) string {
	t.Helper()
	a, err := (&Client{DataDir: dir, User: user}).caller(ctx, &env{lookup: os.LookupEnv})
	if err != nil {
		t.Fatal(err)
	}
	for {
		var out struct {
			Data []struct {
				ConversationID string `json:"conversation_id"`
			} `json:"data"`
		}
		if err := a.do(ctx, http.MethodGet, "/api/"+user+"/conversations", nil, &out); err != nil {
			t.Fatal(err)
		}
		if len(out.Data) == 1 {
			return out.Data[0].ConversationID
		}
	}
}

// tasksOf returns the titles of a person's tasks.
func tasksOf(ctx context.Context, t *testing.T, dir, user string) []string {
	t.Helper()
	e := &env{lookup: os.LookupEnv}
	a, err := (&Client{DataDir: dir, User: user}).caller(ctx, e)
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		Data []struct{ Title string } `json:"data"`
	}
	if err := a.do(ctx, http.MethodGet, "/api/"+user+"/tasks", nil, &out); err != nil {
		t.Fatal(err)
	}
	var titles []string
	for _, d := range out.Data {
		titles = append(titles, d.Title)
	}
	return titles
}

// A dev that is killed leaves nothing that the next start trips over, and the
// answers that were being written end. A parley chat that waits for one of them
// follows to the next start, whatever its address.
func TestDevSurvivesAKill(t *testing.T) {
	t.Parallel()
	ctx, dir := testkit.Context(t), testkit.DataDir(t)
	p := parley(t, nil, devArgs(dir, "--demo-rate", "20")...)
	p.expect(ctx, "Ctrl-C stops it")
	e := &env{lookup: os.LookupEnv}
	a, err := (&Client{DataDir: dir, User: "ana"}).caller(ctx, e)
	if err != nil {
		t.Fatal(err)
	}
	res, err := a.request(ctx, http.MethodPost, "/api/ana/chat", map[string]string{"id": "m1", "message": "/long 200"})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = frames(res.Body, func(f frame) (bool, error) {
		if f.Type == "delta" {
			seen++
		}
		return seen < 3, nil
	})
	if err != nil || seen < 3 {
		t.Fatalf("%d deltas, %v", seen, err)
	}
	var said, notes bytes.Buffer // read when the chat is over
	half, over := make(chan struct{}), make(chan error, 1)
	ben := &env{lookup: os.LookupEnv, stderr: &notes, stdout: writerFunc(func(b []byte) {
		if said.Write(b); said.Len() > 100 && half != nil {
			close(half)
			half = nil
		}
	})}
	begun := half
	go func() {
		chat := &chatCmd{Client: Client{DataDir: dir, User: "ben"}, Reconnect: time.Minute, Message: []string{"/long 200"}}
		over <- chat.chat(ctx, ben, nil, nil)
	}()
	select {
	case <-begun:
	case err := <-over:
		t.Fatalf("the chat ended with %v", err)
	case <-ctx.Done():
		t.Fatal("the chat shows nothing")
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.done
	_ = res.Body.Close() // its server is dead
	again := parley(t, nil, devArgs(dir)...)
	again.expect(ctx, "Ctrl-C stops it")
	if a, err = (&Client{DataDir: dir, User: "ana"}).caller(ctx, e); err != nil {
		t.Fatal(err)
	}
	// The same id joins the run: it is taken over when its lease runs out.
	res, err = a.request(ctx, http.MethodPost, "/api/ana/chat", map[string]string{"id": "m1", "message": "/long 200"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // read to its end
	var last json.RawMessage
	if err := frames(res.Body, func(f frame) (bool, error) {
		if f.Type == "commit" {
			last = f.Commit
		}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(last), `"run.completed"`); n != 1 {
		t.Errorf("the run ended with %s", last)
	}
	if err := <-over; err != nil {
		t.Errorf("the chat ended with %v", err)
	}
	c, err := events.DecodeCommit(last)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(c.Events, func(e events.Event) bool { return e.EventType() == "step.completed" })
	if step, ok := c.Events[max(i, 0)].(events.StepCompleted); !ok || said.String() != step.Text+"\n" {
		t.Errorf("the chat showed %q of %q", said.String(), step.Text) // the demo says the same to everybody
	}
	if !strings.Contains(notes.String(), "your message is stored") {
		t.Errorf("of the lost connection the chat said %q", notes.String())
	}
}

// A private Postgres that dies ends dev with a sentence that says what to do; doing
// it brings everything back.
func TestDevEndsWithItsPostgres(t *testing.T) {
	t.Parallel()
	ctx, dir := testkit.Context(t), testkit.DataDir(t)
	p := parley(t, nil, devArgs(dir)...)
	p.expect(ctx, "Ctrl-C stops it")
	if code, out := ended(t, "chat", "--data-dir", dir, "--user", "ana", "add buy milk"); code != exitDone {
		t.Fatalf("chat: %d %q", code, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "postgres", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	postmaster := atoi(first)
	if !slices.Contains(childrenOf(t, p.cmd.Process.Pid), postmaster) {
		t.Fatalf("process %d is not dev's Postgres", postmaster)
	}
	if err := syscall.Kill(postmaster, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(ctx); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	want := "parley: the private Postgres is gone, and parley dev with it: start parley dev again, what was accepted is kept in " + dir + " and goes on (PostgreSQL (pid " + strings.TrimSpace(first) + ") ended by itself: signal: killed"
	if !strings.Contains(p.output(), want) {
		t.Errorf("it did not say %q", want)
	}
	parley(t, nil, devArgs(dir)...).expect(ctx, "Ctrl-C stops it")
	if tasks := tasksOf(ctx, t, dir, "ana"); len(tasks) != 1 || !strings.EqualFold(tasks[0], "buy milk") {
		t.Errorf("tasks after the next start: %q", tasks)
	}
}

// Ctrl-C in the middle of an answer hands it over: the next start goes on with
// it, and neither a failure nor an attempt is counted.
func TestDevHandsOverAtCtrlC(t *testing.T) {
	t.Parallel()
	ctx, dir := testkit.Context(t), testkit.DataDir(t)
	p := parley(t, nil, devArgs(dir, "--demo-rate", "20")...)
	p.expect(ctx, "Ctrl-C stops it")
	a, err := (&Client{DataDir: dir, User: "ana"}).caller(ctx, &env{lookup: os.LookupEnv})
	if err != nil {
		t.Fatal(err)
	}
	res, err := a.request(ctx, http.MethodPost, "/api/ana/chat", map[string]string{"id": "m1", "message": "/long 200"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // its server is gone
	if err := frames(res.Body, func(f frame) (bool, error) { return f.Type != "delta", nil }); err != nil {
		t.Fatal(err)
	}
	if code, _ := p.stop(ctx); code != exitDone {
		t.Fatalf("exit code %d", code)
	}
	if strings.Contains(p.output(), "model call failed") {
		t.Error("the model was gone before the worker")
	}
	parley(t, nil, devArgs(dir)...).expect(ctx, "Ctrl-C stops it")
	if a, err = (&Client{DataDir: dir, User: "ana"}).caller(ctx, &env{lookup: os.LookupEnv}); err != nil {
		t.Fatal(err)
	}
	log := ask(ctx, t, a, "m1", "/long 200")
	for event, want := range map[string]int{"step.started": 2, "step.interrupted": 1, "run.completed": 1, "run.failed": 0} {
		if n := strings.Count(log, `"type":"`+event+`"`); n != want {
			t.Errorf("%d × %s, want %d, in %s", n, event, want, log)
		}
	}
}
