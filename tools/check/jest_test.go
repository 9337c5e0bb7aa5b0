package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const jestOutput = `{"numFailedTests":1,"numPassedTests":2,"success":false,"testResults":[
 {"name":"/tree/frontend/src/core/fold.test.ts","status":"failed","message":"● fold","assertionResults":[
  {"fullName":"fold empty","status":"passed","failureMessages":[]},
  {"fullName":"fold gap","status":"failed","failureMessages":["Error: expected a gap","at line 3"]},
  {"fullName":"fold later","status":"todo","failureMessages":[]},
  {"fullName":"fold slow","status":"pending","failureMessages":[]}]},
 {"name":"/tree/frontend/src/net/socket.test.ts","status":"failed","message":"Cannot find module './sokcet'","assertionResults":[]},
 {"name":"/tree/frontend/src/ui/Button.test.tsx","status":"passed","message":"","assertionResults":[
  {"fullName":"Button clicks","status":"passed","failureMessages":[]}]}]}`

func TestReadJest(t *testing.T) {
	t.Parallel()
	sum, err := readJest([]byte(jestOutput), "/tree/frontend")
	if err != nil {
		t.Fatal(err)
	}
	if sum.passed != 2 {
		t.Errorf("passed = %d, want 2", sum.passed)
	}
	wantFailures := []entry{
		{"src/core/fold.test.ts › fold gap", "Error: expected a gap\nat line 3"},
		{"src/net/socket.test.ts", "Cannot find module './sokcet'"},
	}
	if !slices.Equal(sum.failures, wantFailures) {
		t.Errorf("failures = %v", sum.failures)
	}
	wantSkips := []entry{
		{"src/core/fold.test.ts › fold later", "todo"},
		{"src/core/fold.test.ts › fold slow", "pending"},
	}
	if !slices.Equal(sum.skips, wantSkips) {
		t.Errorf("skips = %v", sum.skips)
	}
}

func TestJestInto(t *testing.T) {
	t.Parallel()
	broken := errors.New("npm exited with 1")
	tests := []struct {
		name, report string
		runErr       error
		want         string
	}{
		{"no report", "", broken, "npm exited with 1"},
		{"half a report", `{"testResults":[`, broken, "Jest's report"},
		{"no tests", `{"testResults":[]}`, nil, "no tests ran"},
		{"failed although all passed, as on a coverage threshold", `{"testResults":[{"status":"passed","assertionResults":[{"status":"passed"}]}]}`, broken, "npm exited with 1"},
		{"a failed test explains it", jestOutput, broken, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "jest.json")
			if tt.report != "" {
				if err := os.WriteFile(file, []byte(tt.report), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := jestInto(&job{env: env{ws: &workspace{root: "/tree"}}}, file, tt.runErr)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("err = %v, want %q in it", err, tt.want)
			}
		})
	}
}
