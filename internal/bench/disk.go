package bench

import (
	"fmt"
	"os"
	"slices"
	"time"
)

// fsyncs is how many are made to find what one takes.
const fsyncs = 40

// fsyncTimes appends to a file in dir as a stream's store does, a few hundred
// bytes at a time, and returns how long each write and fsync took.
func fsyncTimes(dir string) (samples, error) {
	f, err := os.CreateTemp(dir, "fsync-")
	if err != nil {
		return nil, fmt.Errorf("time of an fsync: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 600)
	var list samples
	for range fsyncs {
		begun := time.Now()
		if _, err := f.Write(block); err != nil {
			return nil, fmt.Errorf("time of an fsync: %w", err)
		}
		if err := f.Sync(); err != nil {
			return nil, fmt.Errorf("time of an fsync: %w", err)
		}
		list = append(list, time.Since(begun))
	}
	slices.Sort(list)
	return list, nil
}
