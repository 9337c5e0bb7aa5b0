// Schemagen writes events/schema.json, the JSON Schema of everything that
// package events puts on a wire, from its Go types and their comments. The
// page's TypeScript types are made from that file.
//
// Run it with go generate ./events.
package main

import (
	"fmt"
	"os"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: schemagen PACKAGE_DIRECTORY FILE")
		return 2
	}
	b, err := generate(args[0])
	if err == nil {
		err = os.WriteFile(args[1], b, 0o644) //nolint:gosec // a public, committed file
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "schemagen:", err)
		return 1
	}
	return 0
}
