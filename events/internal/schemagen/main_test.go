package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	sources = "../.."
	file    = "../../schema.json"
)

func TestSchemaIsCurrent(t *testing.T) {
	t.Parallel()
	got, err := generate(sources)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("events/schema.json is out of date, run go generate ./events (-file +types):\n%s", diff)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want int
	}{
		{"no arguments", nil, 2},
		{"no sources", []string{t.TempDir(), t.TempDir() + "/schema.json"}, 1},
		{"no such directory", []string{sources, t.TempDir() + "/none/schema.json"}, 1},
		{"written", []string{sources, t.TempDir() + "/schema.json"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := run(tt.args); got != tt.want {
				t.Errorf("run = %d, want %d", got, tt.want)
			}
		})
	}
}
