package edge

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/parleychat/parley/events"
)

// writeMarkdown writes a conversation as a text to read: the current branch, and
// after it what was asked or answered otherwise. What a person wrote is quoted,
// so that nothing in it reads as a heading of ours.
func writeMarkdown(w io.Writer, c *events.Conversation) error {
	b := bufio.NewWriterSize(w, 32<<10)
	title := oneLine(c.Title)
	if title == "" {
		title = "Conversation"
	}
	fmt.Fprintf(b, "# %s\n\nConversation `%s` of `%s`, as of n = %d", title, c.ConversationID, c.UserID, c.N)
	if !c.CreatedAt.IsZero() {
		fmt.Fprintf(b, ", begun %s", stamp(c.CreatedAt))
	}
	write(b, ".\n")
	current := map[*events.Run]bool{}
	for _, r := range c.Path(c.Tip()) {
		current[r] = true
		writeRun(b, r)
	}
	if len(current) < len(c.Runs) {
		write(b, "\n# Other branches\n")
		for _, r := range c.Runs {
			if !current[r] {
				writeRun(b, r)
			}
		}
	}
	if len(c.Calls) > 0 {
		write(b, "\n## Done by hand\n\n")
		for _, k := range c.Calls {
			writeCall(b, k)
		}
	}
	return b.Flush()
}

func writeRun(b *bufio.Writer, r *events.Run) {
	fmt.Fprintf(b, "\n## Message, %s\n\n", stamp(r.Message.Time))
	for line := range strings.SplitSeq(r.Message.Text, "\n") {
		write(b, strings.TrimRight("> "+strings.TrimRight(line, "\r"), " ")+"\n")
	}
	fmt.Fprintf(b, "\n## Answer, %s", r.Status)
	if r.Model != "" {
		fmt.Fprintf(b, ", by %s", oneLine(r.Model))
	}
	if !r.EndedAt.IsZero() {
		write(b, ", "+stamp(r.EndedAt))
	}
	write(b, "\n")
	for i := range r.Steps {
		s := &r.Steps[i]
		if text := strings.TrimSpace(s.Text); text != "" {
			write(b, "\n"+text+"\n")
		}
		if s.Partial {
			write(b, "\n*(stopped here)*\n")
		}
		for j, id := range s.Calls {
			if j == 0 {
				write(b, "\n")
			}
			if k := r.Call(id); k != nil {
				writeCall(b, k)
			}
		}
	}
	if r.Error != nil {
		fmt.Fprintf(b, "\n*Failed (%s): %s*\n", oneLine(r.Error.Code), oneLine(r.Error.Message))
	}
}

func writeCall(b *bufio.Writer, k *events.Call) {
	fmt.Fprintf(b, "- %s %s, %s", code(k.Name), code(string(k.Arguments)), k.Status)
	switch {
	case k.Error != nil:
		fmt.Fprintf(b, ": %s", oneLine(k.Error.Message))
	case len(k.Result) > 0:
		fmt.Fprintf(b, ": %s", code(string(k.Result)))
	}
	write(b, "\n")
}

// code returns s as an inline code span, whatever is in it.
func code(s string) string {
	s = oneLine(s)
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}

// write writes a text; the buffer keeps an error until it is flushed.
func write(b *bufio.Writer, s string) { _, _ = b.WriteString(s) }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
