package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// jestReport is the part of Jest's --json output that is counted.
type jestReport struct {
	TestResults []struct {
		Name             string
		Status           string
		Message          string
		AssertionResults []struct {
			FullName        string
			Status          string // passed, failed, pending, skipped, todo, disabled
			FailureMessages []string
		}
	}
}

// readJest counts a report. A suite that failed without a failed test (it did
// not compile, a hook threw) is one failure; a todo is a skip.
func readJest(b []byte, root string) (tally, error) {
	var rep jestReport
	var sum tally
	if err := json.Unmarshal(b, &rep); err != nil {
		return sum, fmt.Errorf("read Jest's report: %w", err)
	}
	for _, suite := range rep.TestResults {
		file := suite.Name
		if rel, err := filepath.Rel(root, suite.Name); err == nil {
			file = rel
		}
		before := len(sum.failures)
		for _, a := range suite.AssertionResults {
			name := file + " › " + a.FullName
			switch a.Status {
			case "passed":
				sum.passed++
			case "failed":
				sum.failures = append(sum.failures, entry{name, strings.Join(a.FailureMessages, "\n")})
			default:
				sum.skips = append(sum.skips, entry{name, a.Status})
			}
		}
		if suite.Status == "failed" && len(sum.failures) == before {
			sum.failures = append(sum.failures, entry{file, suite.Message})
		}
	}
	return sum, nil
}

// jestInto reads the report that a run of Jest left, and gives its counts to j.
func jestInto(j *job, file string, runErr error) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return errors.Join(runErr, fmt.Errorf("no report from Jest: %w", err))
	}
	sum, err := readJest(b, j.ws.path("frontend"))
	if err != nil {
		return errors.Join(runErr, err)
	}
	j.pass(sum.passed)
	for _, f := range sum.failures {
		j.fail(f.name, f.detail)
	}
	for _, s := range sum.skips {
		j.skip(s.name, s.detail)
	}
	if len(sum.failures) == 0 && runErr != nil {
		return runErr
	}
	if sum.passed+len(sum.failures)+len(sum.skips) == 0 {
		return errors.New("no tests ran")
	}
	return nil
}
