package ffmpeg

import (
	"testing"
	"time"

	"mp3converter/internal/mp3"
)

// lendable are cores that are lent whatever the sound.
func lendable(total int) *Cores {
	c := NewCores(total)
	c.plan = plan{least: time.Nanosecond, most: time.Minute, overlap: mp3.Overlap}
	return c
}

// sharer takes a seat that borrows.
func sharer(t *testing.T, c *Cores) *seat {
	t.Helper()
	s := c.enter()
	if !s.share(time.Minute) {
		t.Fatal("a seat may not borrow")
	}
	return s
}

// borrowed takes as many cores as it gets.
func borrowed(s *seat) int {
	n := 0
	for s.borrow() {
		n++
	}
	return n
}

func TestOneConversionGetsAllCores(t *testing.T) {
	t.Parallel()
	s := sharer(t, lendable(4))
	if n := borrowed(s); n != 3 {
		t.Errorf("it gets %d cores besides its own, want 3", n)
	}
}

func TestIdleCoresAreSharedFairly(t *testing.T) {
	t.Parallel()
	c := lendable(8)
	first, second := sharer(t, c), sharer(t, c)
	if a, b := borrowed(first), borrowed(second); a != 3 || b != 3 {
		t.Errorf("of eight cores two conversions get 1+%d and 1+%d, want four each", a, b)
	}
}

func TestACoreIsBackAfterASegmentWhenAnotherConversionComes(t *testing.T) {
	t.Parallel()
	c := lendable(4)
	greedy := sharer(t, c)
	borrowed(greedy)
	late := sharer(t, c) // it has a core of its own at once
	if n := borrowed(late); n != 0 {
		t.Errorf("it borrows %d cores although all are in use", n)
	}
	more := late.more()
	for range 2 { // segments end
		greedy.giveBack()
		if greedy.borrow() {
			t.Error("the first takes back what is the other's part")
		}
	}
	select {
	case <-more:
	default:
		t.Error("the other is not told")
	}
	if n := borrowed(late); n != 1 {
		t.Errorf("it borrows %d cores, want 1 besides its own", n)
	}
	if greedy.borrow() {
		t.Error("five cores of four are in use")
	}
}

func TestAFullQueueGetsOneCoreEach(t *testing.T) {
	t.Parallel()
	c := lendable(2)
	first := sharer(t, c)
	borrowed(first)
	second := c.enter()
	if second.share(time.Minute) {
		t.Error("the last core's conversion may borrow")
	}
	first.giveBack()
	if first.borrow() {
		t.Error("the first borrows the second's own core")
	}
	second.leave()
	if !first.borrow() {
		t.Error("the core of a conversion that has ended is not lent")
	}
}

func TestACoreIsKeptForAConversionToCome(t *testing.T) {
	t.Parallel()
	c := lendable(2)
	ended := c.Expect()
	if c.full() {
		t.Error("a conversion that is expected takes its own core away")
	}
	first := sharer(t, c) // the very one: it is no other
	release := c.Expect()
	if !c.full() {
		t.Error("with both cores taken a pipe may be used")
	}
	if first.borrow() {
		t.Error("the first borrows a core that is kept for the second")
	}
	if c.enter().share(time.Minute) {
		t.Error("the last core's conversion may borrow")
	}
	c.seats-- // it has left
	more := first.more()
	release()
	release()
	select {
	case <-more:
	default:
		t.Error("nobody is told that the second does not come")
	}
	if n := borrowed(first); n != 1 {
		t.Errorf("the first borrows %d cores, want the second's", n)
	}
	first.leave()
	ended()
	if c.taken() != 0 || c.lent != 0 {
		t.Errorf("in the end %d cores are taken and %d lent", c.taken(), c.lent)
	}
}

func TestCoresOfThoseWhoDoNotBorrowAreNobodysPart(t *testing.T) {
	t.Parallel()
	c := lendable(6)
	for range 2 {
		c.enter() // of CBR, say
	}
	if n := borrowed(sharer(t, c)); n != 3 {
		t.Errorf("it borrows %d of the three that are idle", n)
	}
}

func TestALeaverGivesEverythingBack(t *testing.T) {
	t.Parallel()
	c := lendable(4)
	for range 3 {
		s := sharer(t, c)
		if n := borrowed(s); n != 3 {
			t.Errorf("it borrows %d of 3", n)
		}
		s.leave()
	}
	if c.seats != 0 || c.lent != 0 || c.sharing != 0 {
		t.Errorf("%d seats, %d lent, %d sharing; want none", c.seats, c.lent, c.sharing)
	}
}

func TestNothingIsLentBeforeItIsSeenToPay(t *testing.T) {
	t.Parallel()
	c := NewCores(4)
	shares := func(sound time.Duration) bool {
		s := c.enter()
		defer s.leave()
		return s.share(sound)
	}
	if shares(time.Hour) {
		t.Error("cores are lent before Check")
	}
	c.learn(time.Millisecond, false)
	if shares(time.Hour) {
		t.Error("cores are lent to an ffmpeg that cannot make use of them")
	}
	c.learn(80*time.Millisecond, true)
	if shares(100 * time.Second) {
		t.Error("segments of 50 s are lent to an ffmpeg that takes 80 ms to start")
	}
	c.learn(5*time.Millisecond, true)
	if !shares(70 * time.Second) {
		t.Error("a clip of 70 s is not worth two cores, with an ffmpeg that starts in 5 ms")
	}
	if shares(60 * time.Second) {
		t.Error("a clip of 60 s is, which a seam makes 5 % longer")
	}
}
