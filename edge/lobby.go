package edge

import "sync"

// Bounds of sockets that have not said yet who they are.
const (
	lobbyPerAddress = 20
	lobbyTotal      = 2000
)

// A lobby counts the sockets that are not authenticated.
type lobby struct {
	mu    sync.Mutex
	total int
	by    map[string]int
}

// enter lets one more in, unless there are too many.
func (l *lobby) enter(address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= lobbyTotal || l.by[address] >= lobbyPerAddress {
		return false
	}
	if l.by == nil {
		l.by = map[string]int{}
	}
	l.total++
	l.by[address]++
	return true
}

func (l *lobby) leave(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.by[address]--; l.by[address] == 0 {
		delete(l.by, address)
	}
}
