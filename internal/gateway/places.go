package gateway

import "sync"

// places are what uploads, or downloads, under way take: so many in all, and so many of one user that others find some.
type places struct {
	all, each int

	mu   sync.Mutex
	busy int
	of   map[string]int // by user
}

func newPlaces(all, each int) *places { return &places{all: all, each: each, of: map[string]int{}} }

// take is followed by leave, unless it returns errFull.
func (p *places) take(user string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy >= p.all || p.of[user] >= p.each {
		return errFull
	}
	p.busy++
	p.of[user]++
	return nil
}

func (p *places) leave(user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	if p.of[user]--; p.of[user] == 0 {
		delete(p.of, user)
	}
}

// taken is how many are.
func (p *places) taken() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return float64(p.busy)
}
