package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/parleychat/parley/internal/testkit"
)

// No process logs what people, models and tools say, not at its most talkative and
// not where something is wrong with it.
func TestLogsHoldNoWords(t *testing.T) {
	t.Parallel()
	ctx := testkit.Context(t)
	const word = "kestrel" // in all of it
	model := testkit.NewModel(t, func(_ int, req testkit.ModelRequest) testkit.ModelReply {
		key, title := said(req)
		switch {
		case title:
			return testkit.ModelReply{Text: []string{word + " title"}}
		case req.Messages[len(req.Messages)-1].Role == "tool":
		case strings.HasSuffix(key, "task"):
			return testkit.ModelReply{Calls: [][2]string{{"add_task", `{"title":"` + word + ` argument"}`}}}
		case strings.HasSuffix(key, "broken"):
			return testkit.ModelReply{Calls: [][2]string{{"add_task", `{"title":"` + word + ` cut off`}}}
		case strings.HasSuffix(key, "unknown"):
			return testkit.ModelReply{Calls: [][2]string{{word, `{"` + word + `":1}`}}}
		case strings.HasSuffix(key, "garbage"):
			return testkit.ModelReply{Raw: "data: {\"choices\": " + word + "\n\n"}
		case strings.HasSuffix(key, "refused"):
			return testkit.ModelReply{Status: http.StatusBadRequest}
		}
		return testkit.ModelReply{Text: []string{word, " answer"}}
	})
	d := deploy(ctx, t, testkit.StartNATS(t).URL(), testkit.Postgres(t), model.URL)
	d.env = append(d.env, "PARLEY_LOG_LEVEL=debug")
	var all []*process
	for _, role := range []string{"edge", "agentworker", "toolworker", "recorder"} {
		all = append(all, d.start(ctx, role))
	}
	ana := &caller{url: "http://" + addrOf(all[0]), user: "ana", token: d.token("ana")}
	var conversation string
	for _, text := range []string{"hello", "task", "broken", "unknown", "garbage", "refused"} {
		res, err := ana.request(ctx, http.MethodPost, "/api/ana/chat", map[string]string{"message": word + " " + text})
		if err != nil {
			t.Fatal(err)
		}
		var commits string
		err = frames(res.Body, func(f frame) (bool, error) {
			commits, conversation = commits+string(f.Commit), string(f.ConversationID)
			return true, nil
		})
		if err = errors.Join(err, res.Body.Close()); err != nil || !strings.Contains(commits, word+" "+text) {
			t.Fatalf("%s: %v, %s", text, err, commits)
		}
	}
	var ignored struct{}
	path := "/api/ana/conversations/" + conversation
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{http.MethodPatch, path, map[string]string{"title": word + " renamed"}},
		{http.MethodPost, "/api/ana/tool_calls", map[string]any{"name": "add_task", "arguments": map[string]string{"title": word + " by hand"}}},
		{http.MethodGet, "/api/ana/search?q=" + word, nil},
	} {
		if err := ana.do(ctx, c.method, c.path, c.body, &ignored); err != nil {
			t.Errorf("%s %s: %v", c.method, c.path, err)
		}
	}
	for _, c := range []struct {
		path string
		body any
	}{
		{"/api/ana/chat", map[string]string{"message": word + strings.Repeat("!", 8001)}},
		{"/api/ana/chat", map[string]string{"message": word, "conversation_id": word + ">"}},
		{"/api/ana/tool_calls", map[string]any{"name": word, "arguments": map[string]string{"title": word}}},
		{"/api/ana/tool_calls", map[string]any{"name": "add_task", "arguments": []string{word}}},
	} {
		if err := ana.do(ctx, http.MethodPost, c.path, c.body, &ignored); !errors.As(err, new(*statusError)) {
			t.Errorf("%s with %v: %v", c.path, c.body, err)
		}
	}
	for text, want := range map[string]int{"renamed": 1, "title": 4} { // the recorder has had it all in hand
		eventually(ctx, t, func(ctx context.Context) error {
			var list struct {
				Data []struct{ Title string } `json:"data"`
			}
			err := ana.do(ctx, http.MethodGet, "/api/ana/conversations?q="+text, nil, &list)
			if err == nil && len(list.Data) != want {
				err = fmt.Errorf("%d conversations with %q, want %d", len(list.Data), text, want)
			}
			return err
		})
	}
	for _, p := range all {
		d.term(p)
		d.wait(ctx, p, exitDone)
		for line := range strings.Lines(p.output()) {
			if strings.Contains(strings.ToLower(line), word) {
				t.Errorf("%s logs words: %s", p.cmd.Args[1], line)
			}
		}
	}
	for i, says := range []string{`"msg":"request"`, `"msg":"model call failed"`, "toolworker started", `"recording"`} {
		if !strings.Contains(all[i].output(), says) {
			t.Errorf("%s does not say %s", all[i].cmd.Args[1], says)
		}
	}
}
