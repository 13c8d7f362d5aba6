package courier

import "sync"

// places are as many as hooks are visited at once. At most half of them are one owner's, whose receivers may be slow on
// purpose: the others' hooks always find some that are free, or that are left in turn.
type places struct {
	mu         sync.Mutex
	free, each int            // each: for one owner
	taken      map[string]int // by owner
}

func newPlaces(n int) *places {
	return &places{free: n, each: (n + 1) / 2, taken: map[string]int{}}
}

// take reports whether the owner has got a place, which is to be left again.
func (p *places) take(owner string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free == 0 || p.taken[owner] == p.each {
		return false
	}
	p.free--
	p.taken[owner]++
	return true
}

func (p *places) leave(owner string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free++
	if p.taken[owner]--; p.taken[owner] == 0 {
		delete(p.taken, owner)
	}
}
