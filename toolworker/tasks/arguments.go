package tasks

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
)

// Bounds of a task, in characters.
const (
	maxTitle       = 200
	maxDescription = 4000
	maxQuery       = 200
)

// arguments are those of all tools together; each tool allows some.
type arguments struct {
	TaskID      *int       `json:"task_id"`
	Title       *string    `json:"title"`
	Description *string    `json:"description"`
	DueOn       optionally `json:"due_on"`
	Status      *string    `json:"status"`
	Query       *string    `json:"query"`
}

// optionally tells an absent date from null, which clears it.
type optionally struct {
	set  bool
	text *string
}

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (o *optionally) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	o.set = true
	return json.UnmarshalDecode(d, &o.text)
}

// refuse makes an error result of a sentence that the model can act on.
func refuse(code, format string, a ...any) error {
	return &refusal{events.ToolError{Code: code, Message: fmt.Sprintf(format, a...)}}
}

// A refusal is an answer, not a failure: it is stored like any other.
type refusal struct{ events.ToolError }

func (r *refusal) Error() string { return r.Message }

func bad(format string, a ...any) error { return refuse(events.ToolBadArgs, format, a...) }

// decode reads the arguments of the tool: unknown, repeated and wrongly typed
// ones are refused by name.
func decode(raw jsontext.Value, tool string, allowed []string) (arguments, error) {
	var a arguments
	if len(raw) == 0 {
		raw = jsontext.Value("{}")
	}
	if raw.Kind() != '{' {
		return a, bad("The arguments of %s must be a JSON object.", tool)
	}
	if len(raw) > events.MaxArguments {
		return a, bad("The arguments of %s are too long.", tool)
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(raw, &members); err != nil {
		return a, bad("The arguments of %s are not valid JSON.", tool)
	}
	for name := range members {
		if !contains(allowed, name) {
			return a, bad("%s has no argument %q; it takes %s.", tool, short(name), strings.Join(allowed, ", "))
		}
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		if kind, ok := errors.AsType[*json.SemanticError](err); ok {
			return a, bad("The argument %s of %s has the wrong type.", strings.TrimPrefix(string(kind.JSONPointer), "/"), tool)
		}
		return a, bad("The arguments of %s are not valid JSON.", tool)
	}
	return a, nil
}

func contains(list []string, s string) bool {
	return slices.Contains(list, s)
}

func short(s string) string {
	if utf8.RuneCountInString(s) > 40 {
		return string([]rune(s)[:40]) + "…"
	}
	return s
}

func (a *arguments) id() (int, error) {
	switch {
	case a.TaskID == nil:
		return 0, bad("task_id is missing.")
	case *a.TaskID < 1 || *a.TaskID > 1<<31-1:
		return 0, bad("task_id must be a positive whole number, as list_tasks gives it.")
	}
	return *a.TaskID, nil
}

func (a *arguments) title() (string, error) {
	if a.Title == nil {
		return "", bad("title is missing.")
	}
	t := strings.TrimSpace(*a.Title)
	switch {
	case t == "":
		return "", bad("The title of a task must not be empty.")
	case utf8.RuneCountInString(t) > maxTitle:
		return "", bad("The title is too long: at most %d characters.", maxTitle)
	case strings.ContainsAny(t, "\n\r\x00"):
		return "", bad("The title must be one line of text.")
	}
	return t, nil
}

func (a *arguments) description() (string, error) {
	d := strings.TrimSpace(*a.Description)
	switch {
	case utf8.RuneCountInString(d) > maxDescription:
		return "", bad("The description is too long: at most %d characters.", maxDescription)
	case strings.ContainsRune(d, 0):
		return "", bad("The description must not contain the character U+0000.")
	}
	return d, nil
}

// dueOn returns the date, or nil for none.
func (a *arguments) dueOn() (*string, error) {
	if a.DueOn.text == nil || *a.DueOn.text == "" {
		return nil, nil
	}
	t, err := time.Parse(time.DateOnly, *a.DueOn.text)
	if err != nil || t.Year() < 1900 || t.Year() > 9999 {
		return nil, bad("due_on must be a date such as 2026-03-31.")
	}
	return a.DueOn.text, nil
}

func (a *arguments) status() (string, error) {
	if a.Status == nil {
		return "all", nil
	}
	switch *a.Status {
	case "all", "open", "completed":
		return *a.Status, nil
	}
	return "", bad("status must be all, open or completed.")
}

func (a *arguments) query() (string, error) {
	if a.Query == nil {
		return "", nil
	}
	q := strings.TrimSpace(*a.Query)
	if utf8.RuneCountInString(q) > maxQuery || strings.ContainsRune(q, 0) {
		return "", bad("query must be text of at most %d characters.", maxQuery)
	}
	return q, nil
}
