package agentworker

import (
	"context"
	"strings"
	"time"

	"github.com/parleychat/parley/agentworker/openai"
	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/internal/fault"
)

// titleTimeout bounds the model call for a title, which nobody waits for.
const titleTimeout = 20 * time.Second

// title gives the conversation a title after its first answer: once, best
// effort, and never over one that a person gave.
func (w *Worker) title(ctx context.Context, e *conversation) {
	if w.opts.NoTitles || e.ref.Conversation() == events.Home {
		return
	}
	select {
	case w.titles <- struct{}{}:
		defer func() { <-w.titles }()
	default:
		return
	}
	ctx, cancel := context.WithTimeout(ctx, titleTimeout)
	defer cancel()
	req, ok := w.titleRequest(ctx, e)
	if !ok {
		return
	}
	fault.At(fault.TitleBefore)
	out, err := w.opts.Model.Stream(ctx, req, func(string) {})
	if err != nil {
		w.logger.Debug("no title", "conversation_id", e.ref.Conversation(), "err", err)
		return
	}
	text := tidyTitle(out.Text)
	if text == "" {
		return
	}
	fault.At(fault.TitleAfter)
	h := &handler{w: w, entry: e, in: Input{
		Inbox: events.Inbox{ID: titleCause, UserID: e.ref.User(), ConversationID: e.ref.Conversation(), Command: titled{}}, Worker: w.name,
	}}
	_, err = h.commit(ctx, func(s *events.Conversation, in Input) Decision {
		if s.Title != "" || s.Deleted || s.HasCause(in.ID) {
			return commit(Ack)
		}
		return commit(Ack, events.ConversationRenamed{Title: text, By: events.ByModel})
	})
	if err != nil {
		w.logger.Debug("no title", "conversation_id", e.ref.Conversation(), "err", err)
	}
}

// titleCause is the cause of a title's commit. Like the ids of results and
// timers it has a dot, which no id that a client makes may hold: a message of
// the same id would be taken for one that the log knows.
const titleCause = "model.title"

// titled is the cause of a title's commit; it never travels.
type titled struct{}

// CommandType implements [events.Command].
func (titled) CommandType() string { return "title" }

// titleRequest asks for a title of the first completed exchange.
func (w *Worker) titleRequest(ctx context.Context, e *conversation) (openai.Request, bool) {
	if e.lock(ctx) != nil {
		return openai.Request{}, false
	}
	defer e.unlock()
	if e.state == nil || e.state.Title != "" {
		return openai.Request{}, false
	}
	for _, run := range e.state.Runs {
		if run.Status != events.Completed {
			continue
		}
		// A part of each text is enough to name it.
		text := "Person: " + head(run.Message.Text, 2000) + "\n\nAssistant: " + head(run.Answer(), 2000)
		return openai.Request{Model: run.Model, Messages: []openai.Message{
			{Role: openai.System, Text: titlePrompt}, {Role: openai.User, Text: text},
		}}, true
	}
	return openai.Request{}, false
}

// head returns at most n runes of s.
func head(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// tidyTitle takes the first line of what the model said, without the quotation
// marks and full stop that models add all the same.
func tidyTitle(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(clean(s)), "\n")
	s = strings.Trim(s, " \t\"'“”«»*#`")
	s = strings.TrimSuffix(s, ".")
	return strings.TrimSpace(head(s, 80))
}
