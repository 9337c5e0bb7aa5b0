//go:build !faults

package fault

// At does nothing in this build.
func At(Point) {}

// Planted is false in this build.
func Planted(Bug) bool { return false }
