package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// ask sends one prompt and returns the status, the text, the names of the calls
// and whether a finish reason came.
func ask(t *testing.T, url string, messages ...promptMessage) (status int, text string, calls []string, finished bool) {
	t.Helper()
	b, err := json.Marshal(prompt{messages})
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(url, "application/json", strings.NewReader(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		var c struct {
			Choices []struct {
				Delta struct {
					Content   string `json:"content"`
					ToolCalls []struct {
						Function struct {
							Name string `json:"name"`
						} `json:"function"`
					} `json:"tool_calls"`
				} `json:"delta"`
				Reason *string `json:"finish_reason"`
			} `json:"choices"`
		}
		data, ok := strings.CutPrefix(lines.Text(), "data: {")
		if !ok || json.Unmarshal([]byte("{"+data), &c) != nil || len(c.Choices) == 0 {
			continue
		}
		text += c.Choices[0].Delta.Content
		for _, k := range c.Choices[0].Delta.ToolCalls {
			if k.Function.Name != "" {
				calls = append(calls, k.Function.Name)
			}
		}
		finished = finished || c.Choices[0].Reason != nil
	}
	return res.StatusCode, text, calls, finished
}

func TestModelNotesWhatItSaid(t *testing.T) {
	t.Parallel()
	m := newModel(1)
	s := httptest.NewServer(m)
	defer s.Close()
	type heard struct {
		status   int
		text     string
		finished bool
	}
	var mu sync.Mutex
	heards := map[string]heard{}
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			o := order{marker: fmt.Sprint("m", i), canary: "canary-1", verb: verbSay, count: 5}
			status, text, _, finished := ask(t, s.URL, promptMessage{"user", o.text()})
			mu.Lock()
			defer mu.Unlock()
			heards[o.marker] = heard{status, text, finished}
		})
	}
	all.Wait()
	s.Close() // waits until every request is noted
	seen := map[string]int{}
	texts := map[string]bool{}
	for _, r := range m.log() {
		h, ok := heards[r.Marker]
		status, text, finished := h.status, h.text, h.finished
		switch {
		case !ok || r.Step != 1:
			t.Errorf("noted as %q, step %d", r.Marker, r.Step)
		case (status != http.StatusOK) != (r.Outcome == outcomeRefused):
			t.Errorf("status %d, outcome %s", status, r.Outcome)
		case finished != (r.Outcome == outcomeWhole):
			t.Errorf("finished %v, outcome %s", finished, r.Outcome)
		case finished && text != r.Text, !strings.HasPrefix(r.Text, text):
			t.Errorf("said %q, noted %q", text, r.Text)
		case texts[r.Text]:
			t.Errorf("said %q twice", r.Text)
		}
		texts[r.Text] = true
		seen[r.Outcome]++
	}
	for _, outcome := range []string{outcomeWhole, outcomeRefused, outcomeCut} {
		if seen[outcome] == 0 {
			t.Errorf("no request of sixty was %s", outcome)
		}
	}
}

func TestModelCallsTools(t *testing.T) {
	t.Parallel()
	list := promptMessage{"tool", `{"count":1,"tasks":[{"task_id":7}]}`}
	for _, c := range []struct {
		name     string
		messages []promptMessage
		step     int
		want     []string
	}{
		{"several at once", []promptMessage{{"user", order{"m1", "canary-1", verbAdd, 3}.text()}}, 1, []string{"add_task", "add_task", "add_task"}},
		{"words after them", []promptMessage{{"user", order{"m1", "canary-1", verbAdd, 3}.text()}, {"assistant", ""}, {"tool", "{}"}}, 2, nil},
		{"a list first", []promptMessage{{"user", order{"m1", "canary-1", verbEdit, 1}.text()}}, 1, []string{"list_tasks"}},
		{"the second in a chain", []promptMessage{{"user", order{"m1", "canary-1", verbChain, 2}.text()}, {"assistant", ""}, {"tool", "{}"}}, 2, []string{"add_task"}},
		{"of the last message only", []promptMessage{{"user", "m0 canary-1 add 3"}, {"assistant", ""}, {"user", order{"m1", "canary-1", verbSay, 2}.text()}}, 1, nil},
	} {
		said, results, step := lastMessage(prompt{c.messages})
		s := answer(1, parseOrder(said), step, results, 0)
		var names []string
		for _, k := range s.calls {
			names = append(names, k.Name)
		}
		if step != c.step || strings.Join(names, " ") != strings.Join(c.want, " ") {
			t.Errorf("%s: step %d calls %v, want step %d and %v", c.name, step, names, c.step, c.want)
		}
	}
	calls := changes(mix(1, "x"), order{count: 2}, []string{list.Content})
	if len(calls) != 2 || !strings.Contains(calls[0].Arguments, `"task_id":7`) {
		t.Errorf("changes of a list with one task: %v", calls)
	}
}
