//go:build faults

package faulttest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/parleychat/parley/internal/testkit"
)

// A model answers by what it is asked, and remembers what it answered. No two
// answers are the same text: whoever mixes two tries shows it.
type model struct {
	*testkit.Model
	// gate lets the pieces of an answer to "slowly …" pass, one for each value.
	gate chan struct{}

	mu    sync.Mutex
	texts []string
}

// pieces is how many pieces an answer in words has.
const pieces = 4

func newModel(t testing.TB) *model {
	t.Helper()
	m := &model{gate: make(chan struct{})}
	m.Model = testkit.NewModel(t, m.answer)
	return m
}

func (m *model) answer(n int, req testkit.ModelRequest) testkit.ModelReply {
	if len(req.Tools) == 0 {
		return testkit.ModelReply{Text: []string{"A title"}}
	}
	ask, results := "", 0
	for _, x := range req.Messages {
		switch x.Role {
		case "user":
			ask, results = x.Content, 0
		case "tool":
			results++
		}
	}
	verb, rest, _ := strings.Cut(ask, " ")
	switch {
	case verb == "add" && results == 0:
		var calls [][2]string
		for title := range strings.SplitSeq(rest, ",") {
			calls = append(calls, [2]string{"add_task", fmt.Sprintf(`{"title":%q}`, title)})
		}
		return testkit.ModelReply{Calls: calls, Usage: [2]int{10, 5}}
	case verb == "garble" && results == 0:
		return testkit.ModelReply{Calls: [][2]string{{"add_task", "no JSON"}}, Usage: [2]int{10, 5}}
	}
	reply := testkit.ModelReply{Usage: [2]int{10, 5}}
	for i := range pieces {
		reply.Text = append(reply.Text, fmt.Sprintf("[%d.%d] größer, schöner. ", n, i))
	}
	if verb == "slowly" {
		reply.Gate = m.gate
	}
	m.mu.Lock()
	m.texts = append(m.texts, strings.Join(reply.Text, ""))
	m.mu.Unlock()
	return reply
}

// said reports whether text is an answer, or with part the beginning of one.
func (m *model) said(text string, part bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.texts {
		if x == text || part && strings.HasPrefix(x, text) {
			return true
		}
	}
	return text == "" && part
}

// let lets k pieces of a slow answer pass.
func (w *world) let(k int) {
	w.t.Helper()
	for range k {
		select {
		case w.model.gate <- struct{}{}:
		case <-w.ctx.Done():
			w.t.Fatal("the model has not been asked")
		}
	}
}
