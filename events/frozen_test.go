package events_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/parleychat/parley/events"
)

// frozen are logs as they were stored by builds that have been used, with what
// they folded to. They stay as they are for ever: such logs are in archives. What
// is new gets a file of its own, and its sum here.
var frozen = map[string]string{
	"approval.txtar":       "53e51dffd5e96ef838c025f6d432730983657e64b635fe6532c75ace64e81180",
	"archive.txtar":        "76af645f1e855fc8f15fd514f46602e6b8d87d95ef36f02537de32d30eb9dfe3",
	"attempts.txtar":       "3b1a3ed3e72415d618f15a7432d5060f4364281eabd0fd7166d2c70d688d09e7",
	"branches.txtar":       "685f46e38017c6bee96dd5b90809d0b5cd5ad285f3f264dff63f65b50604a5a0",
	"deadline.txtar":       "969c191301e9e43e6a38b5d4db708845e2c45e53e02acb31796dceea0a568316",
	"delete.txtar":         "70232e6922cfe439a3de9c805a6ad361d0a09cbbc7bb2aff88af89da9bf1defe",
	"failures.txtar":       "84684fc7eee711ce398e51621c7308e06ecce44ed94d00ad915fc27d8b9f97f1",
	"future.txtar":         "c745d96fdb3be54c131081d109020c1b960638d09b6a6bcd81f2761c5fe7471c",
	"handover.txtar":       "b393b929334e2757b3b492785ad1feef494a356faeeb1f3986d79b14c5882388",
	"hello.txtar":          "32996e9a6e967730e1aef29952a2f7d4c3c7f7bb03b9f1e6082494b1884b4dc7",
	"home.txtar":           "cc02b78542ffb81c180c4caa787e68d756db6cf45b1df3150115ee5b9bf500b0",
	"late.txtar":           "0e6aedbe11aaea5b8b883ec7de978ca20c641354e016c3b6515a504349132ad3",
	"long.txtar":           "2ff82afe0e20ab96d20da63116526a213eb50244bd08dd99bec0574cc1d86e39",
	"names.txtar":          "7edc0f2bdb8072b7d8f0edf0689654841770d05b9dee2cd589c059546cae333e",
	"nonsense.txtar":       "1f0b9bde2f64bd84d7b7b4c173701716b2cfcdc4a77e159c2d30692591934651",
	"parallel.txtar":       "488a457dd80f237a5ff7049cbfff5608d7acbc01286316c66225138f17f813e1",
	"poison.txtar":         "383b534f7ab79ee863ebaf8ae425a7f5ce13a2bf649470c6e27eaf558211c2a0",
	"queue.txtar":          "05f45f88e395f462cfeb03e49a0652ced9ad35e680d9d4c789412f529e8b9c9a",
	"shelf.txtar":          "cfbc997d9f554775e254a09dff2af2523f18b1261a810d16af4eb84c8c6ed7f9",
	"stop-asking.txtar":    "d05708243f0a70858c5ad0e464d476e8bfc4d05c8db145b1536a50ac9a6708e7",
	"stop-calls.txtar":     "05d52a121a575bc434318f91ca02f46310af53a6e49badd9a51f245f6d96f24d",
	"stop-streaming.txtar": "fbd10223469b2ca85cdaec40027904c66eeed453b2080e3ab3ca73185d1dabf8",
	"takeover.txtar":       "b88e06ac3a1d0ad73678775126235735661de9407217db30544ccc3a21af446f",
	"tombstone.txtar":      "f556c08d0e078edf8d0f3ddb1dc979f7418d8adbc742ff3d1072532c37c28685",
	"tool.txtar":           "dabc6923365c7c3b13bc0d84b9a740aa7fbc88e1d6091a1c84505d28e466d737",
	"unicode.txtar":        "a4823b65c5773ad9469d1739ff2acf37ca5225ffaf32bb72a6eff9b5333965a4",
}

func TestFrozenLogsFoldAsEver(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("testdata", "v1")
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range names {
		if frozen[f.Name()] == "" {
			t.Errorf("%s is not frozen: note its sum", f.Name())
		}
	}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(frozen)) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != frozen[name] {
			t.Errorf("%s was changed: a log that is in archives cannot be", name)
		}
		a := txtar.Parse(b)
		var c *events.Conversation
		for line := range bytes.Lines(a.Files[0].Data) {
			line = bytes.TrimSuffix(line, []byte("\n"))
			k, err := events.DecodeCommit(line)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, e := range k.Events {
				seen[e.EventType()] = true
			}
			if c == nil {
				r, err := k.Ref()
				if err != nil {
					t.Fatal(err)
				}
				c = events.NewConversation(r)
			}
			apply(t, c, k)
		}
		var then, now any
		for _, v := range []struct {
			raw []byte
			to  *any
		}{{a.Files[1].Data, &then}, {encode(t, c.Base(shown)), &now}} {
			d := json.NewDecoder(bytes.NewReader(v.raw))
			d.UseNumber()
			if err := d.Decode(v.to); err != nil {
				t.Fatal(err)
			}
		}
		for _, lost := range lacking("state", then, now) {
			t.Errorf("%s: %s", name, lost)
		}
	}
	for _, typ := range events.EventTypes() {
		if !seen[typ] {
			t.Errorf("no frozen log has %s: add one", typ)
		}
	}
}

// lacking tells what of then is not in now as it was. What was added since is
// no loss.
func lacking(path string, then, now any) []string {
	var list []string
	switch then := then.(type) {
	case map[string]any:
		is, ok := now.(map[string]any)
		if !ok {
			return []string{path + " is no object any more"}
		}
		for _, k := range slices.Sorted(maps.Keys(then)) {
			list = append(list, lacking(path+"."+k, then[k], is[k])...)
		}
	case []any:
		is, ok := now.([]any)
		if !ok || len(is) != len(then) {
			return []string{path + " has another length"}
		}
		for i := range then {
			list = append(list, lacking(fmt.Sprintf("%s[%d]", path, i), then[i], is[i])...)
		}
	default:
		if !reflect.DeepEqual(then, now) {
			list = append(list, fmt.Sprintf("%s is %v, and was %v", path, now, then))
		}
	}
	return list
}

// A commit of a later version says so, whatever else it holds: a reader can tell
// "too new for me" from "broken".
func TestNewerVersionsAreToldFromBrokenOnes(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]error{
		`{"v":2,"conversation_id":"c","user_id":"u","n":1,"commit_id":"x","time":"2026-01-05T09:00:00Z","events":[{"type":"a.b"}],"sealed":true}`: events.ErrVersion,
		`{"v":99}`: events.ErrVersion,
		`{"v":1}`:  events.ErrMalformed,
		`{"v":1,"conversation_id":"c","user_id":"u","n":0,"commit_id":"x","time":"2026-01-05T09:00:00Z","events":[{"type":"a.b"}]}`: events.ErrMalformed,
		`{"v":`: events.ErrMalformed,
		``:      events.ErrMalformed,
	} {
		if _, err := events.DecodeCommit([]byte(raw)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", raw, err, want)
		}
	}
}
