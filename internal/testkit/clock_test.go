package testkit_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parleychat/parley/internal/testkit"
)

func TestClockMovesOnlyWhenTold(t *testing.T) {
	t.Parallel()
	c := testkit.NewClock()
	if got := c.Now(); !got.Equal(testkit.Epoch) || !c.Now().Equal(got) {
		t.Errorf("a new clock stands at %v then %v, want %v", got, c.Now(), testkit.Epoch)
	}
	if got, want := c.Advance(time.Minute), testkit.Epoch.Add(time.Minute); !got.Equal(want) || !c.Now().Equal(want) {
		t.Errorf("after a minute: %v, %v; want %v", got, c.Now(), want)
	}
	c.Set(testkit.Epoch)
	if got := c.Now(); !got.Equal(testkit.Epoch) {
		t.Errorf("after Set: %v", got)
	}
}

func TestIDsAreStableValidAndOrdered(t *testing.T) {
	t.Parallel()
	var a, b testkit.IDs
	other := testkit.IDs{Source: 1}
	var got []string
	for range 300 {
		id := a.New()
		if again := b.New(); again != id {
			t.Fatalf("two fresh sources gave %s and %s", id, again)
		}
		u, err := uuid.Parse(id)
		if err != nil || u.Version() != 7 || u.Variant() != uuid.RFC4122 {
			t.Fatalf("%s: version %d, variant %s, err %v", id, u.Version(), u.Variant(), err)
		}
		if o := other.New(); slices.Contains(got, o) || o == id {
			t.Fatalf("source 1 gave an id of source 0: %s", o)
		}
		got = append(got, id)
	}
	if got[0] != "019b8d62-7a80-7000-8000-000000000001" {
		t.Errorf("the first id is %s", got[0])
	}
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Error("ids do not count up")
	}
}
