package recorder

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parleychat/parley/events"
	"github.com/parleychat/parley/readmodel"
)

// Kinds of differences beside those of the read models.
const (
	kindReordered = "reordered"
	kindForeign   = "foreign"
)

// Why rows are unverifiable.
const (
	behindErased  = "its content was erased"
	behindVersion = "it is of a version that this build cannot read"
	behindBroken  = "the archive of its conversation is broken"
)

// A conversation is read from a snapshot, commit after commit.
type conversation struct {
	user, id string
	fold     *readmodel.Fold // nil once it cannot go on
	behind   string          // why not
	n        int64           // of the last commit read
	seq      int64           // its place in the log

	commits, events, ledgerRows int
	differences, unverifiable   []Finding
	pending                     []Finding
	unknown                     []unknownCall

	calls  map[events.CallID]*call
	claims []claim
}

// A call is what the log says about a tool call that was released.
type call struct {
	hash         []byte
	server, name string
	by           events.By
	run          events.RunID
	returned     *events.ToolReturned
}

func newConversation(user, id string) *conversation {
	c := &conversation{user: user, id: id, calls: map[events.CallID]*call{}}
	ref, err := events.NewRef(events.UserID(user), events.ConversationID(id))
	if err != nil {
		c.stop(behindBroken) // nobody could have committed to it
		return c
	}
	c.fold = readmodel.NewFold(ref)
	return c
}

// stop ends folding.
func (c *conversation) stop(why string) {
	if c.fold != nil || c.behind == "" {
		c.fold, c.behind = nil, why
	}
}

// differ records a difference of a commit and ends folding. Neighbours that
// differ alike are one.
func (c *conversation) differ(n int64, kind, detail string) {
	c.stop(behindBroken)
	c.note(n, kind, detail)
}

func (c *conversation) note(n int64, kind, detail string) {
	if i := len(c.differences) - 1; i >= 0 {
		last := &c.differences[i]
		if last.Kind == kind && last.Detail == detail && max(last.N, last.To) == n-1 {
			last.To = n
			return
		}
	}
	c.differences = append(c.differences, Finding{Table: "archive", UserID: c.user, ConversationID: c.id, N: n, Kind: kind, Detail: detail})
}

func (c *conversation) skip(table string, n int64, detail string) {
	c.unverifiable = append(c.unverifiable, Finding{Table: table, UserID: c.user, ConversationID: c.id, N: n, Detail: detail})
}

// read checks a part, and with the last one the rows that were made of all.
func (c *conversation) read(p *readmodel.Part) error {
	for i := range p.Commits {
		c.commit(&p.Commits[i])
	}
	if !p.Last {
		return nil
	}
	if err := c.rows(&p.Rows); err != nil {
		return err
	}
	c.ledger(p.Calls)
	return nil
}

// commit checks one row of the archive and folds it.
func (c *conversation) commit(a *readmodel.Archived) {
	c.commits++
	if a.N != c.n+1 {
		c.differ(c.n+1, readmodel.Missing, "")
		c.differences[len(c.differences)-1].To = a.N - 1
	}
	c.n = a.N
	if !a.Enveloped {
		c.differ(a.N, readmodel.Missing, "there is only its payload")
		return
	}
	c.events += len(a.Types)
	if a.Seq <= c.seq {
		c.note(a.N, readmodel.Altered, "stream_seq: not after that of the commit before")
	}
	c.seq = max(c.seq, a.Seq)
	if a.Payload == nil {
		c.skip("archive", a.N, behindErased)
		c.stop(behindErased)
		return
	}
	intact := a.Intact()
	k, err := events.DecodeCommit(a.Payload)
	switch {
	case err == nil && (string(k.UserID) != c.user || string(k.ConversationID) != c.id):
		c.differ(a.N, kindForeign, "the payload is of another conversation")
	case err == nil && k.N != uint64(a.N):
		c.differ(a.N, kindReordered, "the payload is of another n")
	case !intact:
		c.differ(a.N, readmodel.Altered, "payload: not what its hash says")
	case errors.Is(err, events.ErrVersion):
		c.skip("archive", a.N, behindVersion)
		c.stop(behindVersion)
	case err != nil:
		c.differ(a.N, readmodel.Altered, "payload: no commit")
	default:
		c.intact(a, k)
	}
}

// intact takes a commit whose payload is what was archived.
func (c *conversation) intact(a *readmodel.Archived, k *events.Commit) {
	if columns := a.Differing(k); columns != "" {
		c.note(a.N, readmodel.Altered, columns)
	}
	for _, e := range k.Events {
		switch e := e.(type) {
		case events.Unknown:
			c.skip("archive", a.N, fmt.Sprintf("an event of the unknown type %q", e.Type))
		case events.ToolCalled:
			if c.calls[e.CallID] == nil {
				c.calls[e.CallID] = &call{hash: events.CallHash(e.Server, e.Name, e.Arguments), server: e.Server, name: e.Name, by: e.By, run: e.RunID}
			}
		case events.ToolReturned:
			if t := c.calls[e.CallID]; t != nil && t.returned == nil {
				t.returned = &e
			}
		}
	}
	if c.fold == nil {
		return
	}
	if err := c.fold.Apply(k, len(a.Payload)); err != nil { // n and owner were just checked
		c.differ(a.N, readmodel.Altered, "payload: "+err.Error())
	}
}

// rows compares the read models.
func (c *conversation) rows(rows *readmodel.Rows) error {
	switch {
	case c.commits == 0:
		if n := rows.Count(); n > 0 {
			c.differences = append(c.differences, Finding{
				Table: "archive", UserID: c.user, ConversationID: c.id, Kind: readmodel.Missing, Detail: fmt.Sprintf("%d rows of read models show a conversation without commits", n),
			})
		}
		return nil
	case c.fold == nil:
		if n := rows.Count(); n > 0 {
			c.skip("conversation", 0, fmt.Sprintf("%d rows of read models: %s", n, c.behind))
		}
		return nil
	}
	list, err := c.fold.Compare(rows)
	if err != nil {
		return err
	}
	for _, m := range list {
		c.differences = append(c.differences, Finding{
			Table: m.Table, UserID: c.user, ConversationID: c.id, N: m.N, To: m.To, Key: m.RunID, Kind: m.Kind, Detail: m.Columns,
		})
	}
	return nil
}

// ledger compares the ledger's rows with the calls and answers of the log.
func (c *conversation) ledger(rows []readmodel.LedgerRow) {
	c.ledgerRows = len(rows)
	for i := range rows {
		row := &rows[i]
		f := Finding{Table: "tool_call", UserID: c.user, ConversationID: c.id, Key: row.CallID}
		t := c.calls[events.CallID(row.CallID)]
		delete(c.calls, events.CallID(row.CallID))
		c.claim(row.CallID, row, t)
		switch {
		case t == nil && c.fold == nil && c.commits > 0:
			f.Detail = c.behind
			c.unverifiable = append(c.unverifiable, f)
		case t == nil:
			f.Kind, f.Detail = readmodel.Extra, "the archive has no call with this id"
			c.unknown = append(c.unknown, unknownCall{f, c.n})
		default:
			if columns := ledgerColumns(row, t); columns != "" {
				f.Kind, f.Detail = readmodel.Altered, columns
				c.differences = append(c.differences, f)
			} else if t.returned == nil {
				f.Detail = "its answer is not in the archive yet"
				c.pending = append(c.pending, f)
			}
		}
	}
	for id, t := range c.calls {
		c.claim(string(id), nil, t)
		if t.returned == nil || t.returned.Error != nil && withoutRow[t.returned.Error.Code] {
			continue
		}
		c.differences = append(c.differences, Finding{
			Table: "tool_call", UserID: c.user, ConversationID: c.id, Key: string(id), Kind: readmodel.Missing, Detail: "the archive has the answer to this call",
		})
	}
}

// withoutRow are the refusals that need no toolworker.
var withoutRow = map[string]bool{events.ToolUnknown: true, events.ToolPoison: true}

// ledgerColumns names the columns that differ from what the log says.
func ledgerColumns(row *readmodel.LedgerRow, t *call) string {
	var list []string
	check := func(column string, same bool) {
		if !same {
			list = append(list, column)
		}
	}
	check("server", row.Server == t.server)
	check("name", row.Name == t.name)
	check("by", row.By == string(t.by))
	check("run_id", row.RunID == string(t.run))
	// A revocation matches any arguments.
	check("args_hash", row.ArgsHash == nil && row.State == "revoked" || string(row.ArgsHash) == string(t.hash))
	if r := t.returned; r != nil && row.State != "intent" {
		check("ok", row.OK == r.OK)
		check("result", sameResult(row.Result, r))
		var e events.ToolError
		if r.Error != nil {
			e = *r.Error
		}
		check("error_code", row.ErrorCode == e.Code)
		check("error_message", row.ErrorMessage == e.Message)
		check("duration_ms", row.DurationMS == r.DurationMS)
	}
	return strings.Join(list, ", ")
}

// sameResult compares a stored result with the log's, which may be its beginning.
func sameResult(stored []byte, r *events.ToolReturned) bool {
	if !r.Truncated {
		if string(stored) == string(r.Result) {
			return true
		}
		a, b := jsontext.Value(stored).Clone(), r.Result.Clone()
		return a.Canonicalize() == nil && b.Canonicalize() == nil && string(a) == string(b)
	}
	var text string
	if json.Unmarshal(r.Result, &text) != nil {
		return false
	}
	return strings.HasPrefix(string(stored), strings.TrimRight(text, "\ufffd"))
}
