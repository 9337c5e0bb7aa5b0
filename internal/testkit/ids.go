package testkit

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/google/uuid"
)

// IDs makes the same ids in every run: valid UUIDv7s that count up. The zero
// value is ready; it is safe for concurrent use, though the order of goroutines
// then decides who gets which.
type IDs struct {
	// Source tells the ids of several sources apart.
	Source uint16

	n atomic.Uint64
}

// New returns the next id, the first being
// "019b8d62-7a80-7000-8000-000000000001" for Source 0.
func (s *IDs) New() string { return s.NewUUID().String() }

// NewUUID is New as a uuid.UUID.
func (s *IDs) NewUUID() uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(Epoch.UnixMilli())<<16)
	binary.BigEndian.PutUint64(id[8:], s.n.Add(1))
	binary.BigEndian.PutUint16(id[8:10], s.Source&0x3fff)
	id[6] = 0x70              // version 7
	id[8] = id[8]&0x3f | 0x80 // the RFC's variant
	return id
}
