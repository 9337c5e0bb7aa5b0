package main

import (
	"context"
	"io"
)

// emphasisOf is what the nemesis prefers for a planted bug.
func emphasisOf(string) emphasis { return emphasis{} }

func runPlants(context.Context, options, io.Writer, io.Writer) int { return 2 }
