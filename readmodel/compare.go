package readmodel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/parleychat/parley/events"
)

// Columns of the read models beside their keys, as a snapshot reads them and
// as [Fold.Compare] expects them.
const (
	headColumns = `n, title, title_by, pinned, archived, deleted, read_n, status, last_text, created_at, active_at, runs, tip, open_runs, body`
	runColumns  = `pos, n, parent_id, message_id, status, model, input_tokens, output_tokens, estimated, accepted_at, body`
)

// How a row of a read model can differ from what the archive says.
const (
	Missing = "missing"
	Extra   = "extra"
	Altered = "altered"
)

// A Mismatch is a row of a read model that is not what the archive says, or, with
// the table archive, the commits at its end that the rows know otherwise.
type Mismatch struct {
	Table   string
	RunID   string // of run and conversation_words
	N, To   int64  // of archive: the first and the last commit
	Kind    string
	Columns string // of an altered row, and what else there is to say
}

// Compare returns how rows differ from those that f, folded from the first
// commit on, is projected to. Rows of another n are one mismatch: they are of
// another state altogether, and say which commits the archive has lost at its end,
// or got.
func (f *Fold) Compare(rows *Rows) ([]Mismatch, error) {
	c, runs, words, err := f.project()
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnprojectable, f.ConversationID, err)
	}
	var list []Mismatch
	var e encoder
	if rows.conversation == nil {
		list = append(list, Mismatch{Table: "conversation", Kind: Missing})
	} else {
		columns := differing(headColumns, e.head(c), rows.conversation)
		if n := int8of(rows.conversation[0]); columns != "n" { // else somebody has edited that alone
			switch {
			case n > bigint(f.N):
				return []Mismatch{{Table: "archive", N: bigint(f.N) + 1, To: n, Kind: Missing, Columns: "the rows of the conversation were made with it"}}, nil
			case n < bigint(f.N):
				return []Mismatch{{Table: "archive", N: max(n, 0) + 1, To: bigint(f.N), Kind: Extra, Columns: "the rows of the conversation were made without it"}}, nil
			}
		}
		if columns != "" {
			list = append(list, Mismatch{Table: "conversation", Kind: Altered, Columns: columns})
		}
	}
	want := make(map[string][][]byte, len(runs))
	for _, r := range runs {
		want[string(r.RunID)] = e.run(r)
	}
	list = append(list, differences("run", runColumns, want, rows.runs)...)
	want = make(map[string][][]byte, len(words))
	for _, w := range words {
		want[string(w.run)] = [][]byte{e.vector(w.words)}
	}
	return append(list, differences("conversation_words", "words", want, rows.words)...), nil
}

// differences compares the rows of one table; want is used up.
func differences(table, names string, want map[string][][]byte, got [][][]byte) []Mismatch {
	var list []Mismatch
	for _, row := range got {
		id := string(row[0])
		expected, ok := want[id]
		if !ok {
			list = append(list, Mismatch{Table: table, RunID: id, Kind: Extra})
			continue
		}
		delete(want, id)
		if columns := differing(names, expected, row[1:]); columns != "" {
			list = append(list, Mismatch{Table: table, RunID: id, Kind: Altered, Columns: columns})
		}
	}
	for id := range want {
		list = append(list, Mismatch{Table: table, RunID: id, Kind: Missing})
	}
	return list
}

// differing names the columns in which two rows differ.
func differing(names string, want, got [][]byte) string {
	var list []string
	for i, b := range want {
		if i >= len(got) || !bytes.Equal(b, got[i]) {
			list = append(list, strings.Split(names, ", ")[i])
		}
	}
	return strings.Join(list, ", ")
}

// An encoder writes values as Postgres sends them, into one block.
type encoder struct{ buf []byte }

// bytes returns what was written since from.
func (e *encoder) since(from int) []byte { return e.buf[from:len(e.buf):len(e.buf)] }

func (e *encoder) int8(n int64) []byte {
	from := len(e.buf)
	e.buf = binary.BigEndian.AppendUint64(e.buf, uint64(n))
	return e.since(from)
}

func (e *encoder) int4(n int) []byte {
	from := len(e.buf)
	e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(int32(n)))
	return e.since(from)
}

func (e *encoder) bool(b bool) []byte {
	from := len(e.buf)
	v := byte(0)
	if b {
		v = 1
	}
	e.buf = append(e.buf, v)
	return e.since(from)
}

func (e *encoder) text(s string) []byte {
	from := len(e.buf)
	e.buf = append(e.buf, s...)
	return e.since(from)
}

func (e *encoder) time(t time.Time) []byte {
	return e.int8(t.UnixMicro() - postgresEpoch.UnixMicro())
}

const textOID = 25

// texts writes a text[].
func (e *encoder) texts(list []string) []byte {
	from := len(e.buf)
	put := func(n int) { e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(int32(n))) }
	if len(list) == 0 {
		put(0)
		put(0)
		put(textOID)
		return e.since(from)
	}
	for _, n := range []int{1, 0, textOID, len(list), 1} {
		put(n)
	}
	for _, s := range list {
		put(len(s))
		e.buf = append(e.buf, s...)
	}
	return e.since(from)
}

// vector writes a tsvector of words in their order, without positions.
func (e *encoder) vector(words []string) []byte {
	from := len(e.buf)
	e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(len(words)))
	for _, w := range words {
		e.buf = append(e.buf, w...)
		e.buf = append(e.buf, 0, 0, 0) // its end, and no positions
	}
	return e.since(from)
}

func (e *encoder) head(c conversationRow) [][]byte {
	return [][]byte{
		e.int8(bigint(c.N)), e.text(storable(c.Title)), e.text(storable(string(c.TitleBy))), e.bool(c.Pinned), e.bool(c.Archived), e.bool(c.Deleted),
		e.int8(bigint(c.ReadN)), e.text(c.Status), e.text(c.LastText), e.time(c.CreatedAt), e.time(c.activeAt), e.int4(c.runs),
		e.text(key(c.tip)), e.texts(c.open), c.body,
	}
}

func (e *encoder) run(r runRow) [][]byte {
	return [][]byte{
		e.int4(r.pos), e.int8(bigint(r.N)), e.text(key(r.ParentID)), e.text(key(r.Message.MessageID)), e.text(string(r.Status)),
		e.text(storable(r.Model)), e.int8(int64(r.Usage.InputTokens)), e.int8(int64(r.Usage.OutputTokens)), e.bool(r.Usage.Estimated),
		e.time(r.Message.Time), r.body,
	}
}

// Differing names the columns of the envelope that are not as the commit says.
func (a *Archived) Differing(k *events.Commit) string {
	var list []string
	check := func(column string, same bool) {
		if !same {
			list = append(list, column)
		}
	}
	check("commit_id", string(a.CommitID) == storable(k.CommitID))
	check("cause", string(a.Cause) == storable(k.Cause))
	check("by", string(a.By) == storable(string(k.By)))
	same := len(a.Types) == len(k.Events)
	for i := 0; same && i < len(a.Types); i++ {
		same = string(a.Types[i]) == archivedType(k.Events[i])
	}
	check("types", same)
	check("time", a.Time.Equal(k.Time.Truncate(time.Microsecond)))
	check("size", int(a.Size) == len(a.Payload))
	return strings.Join(list, ", ")
}
