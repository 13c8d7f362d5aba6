package ffmpeg

import (
	"sync"
	"time"
)

// Cores are the processors that the conversions of a machine share. Each conversion has one of its own, whatever the others
// do, and one that is expected has, too. Those that no conversion has are lent for a segment each, in fair parts, and so are
// back soon when another comes.
type Cores struct {
	total int
	trace func(what string) // nil, or told of each encoder, when all have ended, and when one process must do it all

	mu       sync.Mutex
	plan     plan
	seats    int // conversions
	sharing  int // of these, the ones that borrow
	expected int // conversions, the seats among them; 0 if nobody says
	lent     int
	changed  chan struct{} // closed when there may be more to borrow
}

// NewCores returns so many, none of them in use. They are lent once Check has seen that it pays.
func NewCores(total int) *Cores {
	return &Cores{total: total, changed: make(chan struct{})}
}

// Lent says whether there are several and Check has seen that they can be lent.
func (c *Cores) Lent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total > 1 && c.plan.most > 0
}

// learn takes note of how long ffmpeg takes to start, and whether a video can be converted by several.
func (c *Cores) learn(start time.Duration, splits bool) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plan = plan{}
	if splits {
		c.plan = newPlan(start)
	}
}

// seat is what one conversion has of the cores. A nil one has one.
type seat struct {
	*Cores

	plan   plan // as it was when the conversion began
	shares bool
	lent   int
}

// Expect has a core kept for a conversion that is still to begin, as while its video is fetched: lent to another it would cost
// both more than it saves the one. Release is for when it has ended, or does not come; it may be called twice.
func (c *Cores) Expect() (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expected++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.expected--
		c.tell()
	})
}

// full says whether others leave one more conversion, which may be expected, no core but its own, or none.
func (c *Cores) full() bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	others := max(c.seats, c.expected-1)
	return others > 0 && others+1 >= c.total
}

// taken is how many cores have a conversion, running or expected. The caller holds mu.
func (c *Cores) taken() int { return max(c.seats, c.expected) }

// enter returns the seat of another conversion; it never waits.
func (c *Cores) enter() *seat {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seats++
	return &seat{Cores: c}
}

// leave gives everything back.
func (s *seat) leave() {
	if s == nil {
		return
	}
	s.alone()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seats--
	s.tell()
}

// share says whether so much sound is worth several cores, and there are some to be borrowed, now or when others have done
// their segments.
func (s *seat) share(sound time.Duration) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan = s.Cores.plan
	if s.taken() >= s.total || !s.plan.pays(sound) {
		return false
	}
	s.shares = true
	s.sharing++
	return true
}

// alone gives back all but the conversion's own core, for good.
func (s *seat) alone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shares {
		s.shares = false
		s.sharing--
	}
	s.Cores.lent -= s.lent
	s.lent = 0
	s.tell()
}

// part is how many cores the conversion may have, its own among them. The caller holds mu.
func (s *seat) part() int {
	rest := s.total - (s.taken() - s.sharing)
	return max(1, (rest+s.sharing-1)/max(1, s.sharing))
}

// most is how many cores the conversion can hope for.
func (s *seat) most() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.part()
}

// borrow takes another core, if one is idle and not somebody else's part.
func (s *seat) borrow() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.shares || s.taken()+s.Cores.lent >= s.total || 1+s.lent >= s.part() {
		return false
	}
	s.lent++
	s.Cores.lent++
	return true
}

// giveBack returns a core, if one is borrowed.
func (s *seat) giveBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lent > 0 {
		s.lent--
		s.Cores.lent--
		s.tell()
	}
}

// more is closed when borrow may succeed that has failed before.
func (s *seat) more() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (c *Cores) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Cores) say(what string) {
	if c.trace != nil {
		c.trace(what)
	}
}
