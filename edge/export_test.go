package edge

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/testkit"
)

// An export is the conversation, commit by commit, whichever store still has it,
// and nobody else's.
func TestExport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, _ := w.ask("ana", `{"message":"one"}`)
	for i := range 250 { // more than one page
		w.ask("ana", fmt.Sprintf(`{"message":"number %d","conversation_id":%q}`, i, c.ConversationID))
	}
	path := "/api/ana/conversations/" + string(c.ConversationID) + "/export"
	r := w.do("ana", "GET", path, "")
	lines := bytes.Split(bytes.TrimSuffix(r.body, []byte("\n")), []byte("\n"))
	if r.status != 200 || len(lines) != 502 {
		t.Fatalf("%d, %d lines", r.status, len(lines))
	}
	for name, want := range map[string]string{
		"Content-Type": "application/jsonl; charset=utf-8", "Content-Disposition": `attachment; filename="` + string(c.ConversationID) + `.jsonl"`,
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	stored, err := w.log.History(testkit.Context(t), w.memory, ref("ana", c.ConversationID), 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range stored {
		if !bytes.Equal(s.Raw, lines[i]) {
			t.Fatalf("line %d is not the commit:\n%s\n%s", i, lines[i], s.Raw)
		}
	}
	if r := w.do("ana", "GET", path+"?at=3", ""); bytes.Count(r.body, []byte("\n")) != 3 {
		t.Errorf("at 3: %d %s", r.status, r.body)
	}
	if r := w.do("ana", "GET", path+"?at=9999", ""); bytes.Count(r.body, []byte("\n")) != 502 {
		t.Errorf("at a place that is still to come: %d, %d lines", r.status, bytes.Count(r.body, []byte("\n")))
	}
	r = w.do("ana", "GET", path+"?format=markdown&at=2", "")
	if r.status != 200 || !strings.Contains(string(r.body), "> one\n") || !strings.Contains(string(r.body), "You said: one") || !strings.HasSuffix(r.header.Get("Content-Disposition"), `.md"`) {
		t.Errorf("markdown: %d %s", r.status, r.body)
	}
	for _, test := range []struct {
		user, path string
		want       int
	}{
		{"ana", path + "?format=pdf", 400},
		{"ana", path + "?at=x", 400},
		{"ana", path + "?at=-1", 400},
		{"ana", "/api/ana/conversations/nosuch/export", 404},
		{"bob", "/api/bob/conversations/" + string(c.ConversationID) + "/export", 404},
		{"bob", path, 403},
		{"", path, 401},
		{"ana", "/api/ana/conversations/%0a/export", 404},
	} {
		if r := w.do(test.user, "GET", test.path, ""); r.status != test.want || r.code(t) == "" {
			t.Errorf("%s as %q: %d %s, want %d", test.path, test.user, r.status, r.body, test.want)
		}
	}
	if r := w.do("ana", "GET", "/api/ana/conversations/home/export", ""); r.status != 200 || len(r.body) != 0 {
		t.Errorf("home before its first commit: %d %s", r.status, r.body)
	}
}

// half gives the commits of an archive up to a page and fails behind it.
type half struct{ *memory }

func (h half) Commits(ctx context.Context, r events.Ref, after, before uint64) ([][]byte, error) {
	if after > 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return h.memory.Commits(ctx, r, after, before)
}

// An export that cannot go on is cut: a part must not look like the whole.
func TestExportIsWholeOrCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Queries = half{o.Queries.(*memory)} })
	c, _ := w.ask("ana", `{"message":"one"}`)
	for i := range 120 {
		w.ask("ana", fmt.Sprintf(`{"message":"number %d","conversation_id":%q}`, i, c.ConversationID))
	}
	w.trim(ref("ana", c.ConversationID), 1)
	res := w.send(testkit.Context(t), "ana", "GET", "/api/ana/conversations/"+string(c.ConversationID)+"/export", "")
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); res.StatusCode != http.StatusOK || err == nil {
		t.Errorf("%d: %d lines and no error", res.StatusCode, bytes.Count(b, []byte("\n")))
	}
}

// Every golden log has its text to read; what a person or a model wrote stays
// inside it.
func TestMarkdownOfGoldenLogs(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"tool", "branches", "stop-streaming", "home", "unicode"} {
		a, err := txtar.ParseFile(filepath.Join("..", "events", "testdata", name+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		var c *events.Conversation
		for line := range bytes.Lines(a.Files[0].Data) {
			k := must(events.DecodeCommit(bytes.TrimSpace(line)))
			if c == nil {
				c = events.NewConversation(must(k.Ref()))
			}
			if err := c.Apply(k); err != nil {
				t.Fatal(err)
			}
		}
		var got bytes.Buffer
		if err := writeMarkdown(&got, c); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", "markdown", name+".md")
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got.String()); d != "" {
			t.Errorf("%s (-file +got), go test ./edge -run Markdown -update rewrites:\n%s", file, d)
		}
	}
}

var update = flag.Bool("update", false, "rewrite what tests compare with")

// trim leaves only the newest commits of a conversation in the log.
func (w *world) trim(r events.Ref, keep uint64) {
	w.t.Helper()
	ctx := testkit.Context(w.t)
	stream, err := must(jetstream.New(w.nc)).Stream(ctx, events.StreamLog)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSubject(r.Log()), jetstream.WithPurgeKeep(keep)); err != nil {
		w.t.Fatal(err)
	}
}
