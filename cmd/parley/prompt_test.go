package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parleychat/parley/internal/testkit"
)

// The system prompt in a file is what the model gets, with the day filled in. One
// that cannot be read, or uses what there is not, is refused at the start.
func TestSystemPromptOfAFile(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	server, finish := testkit.StartNATS(t), make(chan struct{})
	close(finish)
	model := obedient(ctx, t, finish)
	d := deploy(ctx, t, server.URL(), testkit.Postgres(t), model.URL)
	dir := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, why := range map[string]string{
		filepath.Join(dir, "none.md"):                "no such file",
		file("wrong.md", "You know {{.Everything}}"): "system prompt",
		file("broken.md", "Today is {{.Today"):       "system prompt",
	} {
		p := d.begin("agentworker", "--system-prompt", path)
		d.wait(ctx, p, exitUsage)
		if !strings.Contains(p.output(), why) {
			t.Errorf("%s is refused with %s", filepath.Base(path), p.output())
		}
	}
	d.start(ctx, "edge")
	d.start(ctx, "agentworker", "--system-prompt", file("own.md", "You are a harbour pilot — größer, schöner.\nIn {{.Timezone}} it is {{.Today}}.\n"))
	if err := d.asks("ana", "good night").waitJSON(ctx); err != nil {
		t.Fatal(err)
	}
	asked := false
	for _, req := range model.Requests() {
		if _, title := said(req); title {
			continue
		}
		asked = true
		system := req.Messages[0]
		if system.Role != "system" || !strings.HasPrefix(system.Content, "You are a harbour pilot — größer, schöner.\nIn UTC it is 20") || strings.Contains(system.Content, "Parley") {
			t.Errorf("the model is told by %s: %q", system.Role, system.Content)
		}
	}
	if !asked {
		t.Error("the model was not asked")
	}
}
