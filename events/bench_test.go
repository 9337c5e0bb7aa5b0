package events_test

import (
	"testing"

	"github.com/parleychat/parley/events"
)

// longest is the golden log with seventy runs.
func longest(b *testing.B) *story {
	b.Helper()
	for _, g := range goldens {
		if g.name == "long" {
			return g.begin(b)
		}
	}
	b.Fatal("no golden log named long")
	return nil
}

// One iteration is one commit.
func BenchmarkApply(b *testing.B) {
	s := longest(b)
	c := events.NewConversation(s.ref)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k := s.commits[i%len(s.commits)]
		if k.N == 1 {
			c = events.NewConversation(s.ref)
		}
		if err := c.Apply(k); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeCommit(b *testing.B) {
	c := longest(b).commits[1]
	b.ReportAllocs()
	for b.Loop() {
		line, err := c.Encode()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(line)))
	}
}

func BenchmarkDecodeCommit(b *testing.B) {
	line, err := longest(b).commits[1].Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := events.DecodeCommit(line); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDeltaAppend(b *testing.B) {
	d := events.Delta{ConversationID: "c1", RunID: events.RunIDFor(ada, "c1", "m1"), Step: 1, Attempt: 1, Offset: 1234, Text: " und \"dann\"\n"}
	buf := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		buf = d.Append(buf[:0])
	}
}

func BenchmarkDecodeDelta(b *testing.B) {
	d := events.Delta{ConversationID: "c1", RunID: events.RunIDFor(ada, "c1", "m1"), Step: 1, Attempt: 1, Offset: 1234, Text: " und \"dann\"\n"}
	frame := d.Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := events.DecodeDelta(frame); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBase(b *testing.B) {
	c := longest(b).state
	b.ReportAllocs()
	for b.Loop() {
		c.Base(shown)
	}
}

// The hot path of every answer does not allocate.
func TestDeltaAppendDoesNotAllocate(t *testing.T) {
	d := events.Delta{ConversationID: "c1", RunID: "r1", Step: 1, Attempt: 1, Text: "grün 🙂 \"x\""}
	buf := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { buf = d.Append(buf[:0]) }); n != 0 {
		t.Errorf("Append allocates %v times", n)
	}
}
