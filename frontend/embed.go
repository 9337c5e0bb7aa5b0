// Package frontend holds the page: the React sources, and in this binary what
// they were built to. Without a build it compiles all the same and holds no page.
package frontend

import (
	"embed"
	"fmt"
	"io/fs"
)

// dist/.keep is committed, so that there is always something to embed; its twin
// in public/ is what a build puts back.
//
//go:embed all:dist
var dist embed.FS

// Files returns the built page's files, as the web server's root.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(fmt.Sprintf("frontend: %v", err)) // "dist" is a valid path
	}
	return files
}

// Built reports whether this binary holds a page.
func Built() bool {
	_, err := fs.Stat(Files(), "index.html")
	return err == nil
}
