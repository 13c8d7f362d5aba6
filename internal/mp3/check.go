package mp3

import (
	"errors"
	"io"
)

// Facts are what a stream is made of, as far as can be told without decoding it.
type Facts struct {
	Info     Info // what its header says; zero if it has none
	Frames   int64
	Samples  int64 // that the frames sound, of each channel
	Rate     int   // of the first frame
	Channels int   // of the first frame

	// Headless frames at the beginning need main data of frames before the first: the stream was cut out of a longer one.
	Headless int64
	// Impossible frames are damaged: their main data begins before that of the frame before it ends, or where bytes were
	// lost, or is longer than what is there, or claims more values than a frame has, or no kind of block that there is. What
	// it holds is not looked at.
	Impossible int64
	Changes    int64 // of rate or channels, from one frame to the next
	Lost       int64 // bytes that are neither frame nor tag
}

// Check reads a stream to its end. What is wrong with it is in the facts; an error is the reader's.
func Check(src io.Reader) (Facts, error) {
	r := NewReader(src)
	c := checker{}
	for {
		f, err := r.Next()
		if err != nil {
			c.facts.Info, _ = r.Info()
			c.facts.Lost = r.Lost()
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return c.facts, err
		}
		c.frame(f, r.Lost())
	}
}

// A checker follows the main data through the bit reservoir. Both counts are of bytes right before the next frame's own.
type checker struct {
	facts  Facts
	last   uint32 // shared of the last frame
	damage bool   // bytes were lost since the first frame
	have   int    // have been read
	free   int    // no frame has used; as many as can be reached where that is unknown
}

func (c *checker) frame(f Frame, lost int64) {
	switch {
	case c.facts.Frames == 0:
		c.facts.Rate, c.facts.Channels = f.Rate(), f.Channels()
		c.free = f.maxBegin()
	case shared(f) != c.last:
		c.facts.Changes++
		c.have, c.free = 0, f.maxBegin()
	case lost != c.facts.Lost:
		c.damage = true
		c.have, c.free = 0, f.maxBegin()
	}
	c.last, c.facts.Lost = shared(f), lost
	c.facts.Frames++
	c.facts.Samples += int64(f.Samples())
	c.mainData(f)
}

func (c *checker) mainData(f Frame) {
	begin, size, room := f.MainDataBegin(), f.mainDataSize(), len(f.room())
	left := min(f.maxBegin(), begin+room-size)
	switch {
	case begin > c.free, left < 0, hasTooMany(f), hasNoBlock(f), begin > c.have && c.damage:
		c.facts.Impossible++
		left = f.maxBegin() // who knows where its data ends
	case begin > c.have:
		c.facts.Headless++
	}
	c.have, c.free = min(f.maxBegin(), c.have+room), left
}

// hasTooMany tells whether a granule claims more values than the 576 it has.
func hasTooMany(f Frame) bool {
	bad := false
	f.granules(func(_, big int) { bad = bad || big > 576/2 })
	return bad
}

// hasNoBlock tells whether a granule switches windows and names the kind that it would have without.
func hasNoBlock(f Frame) bool {
	switching := 12 + 9 + 8 + 4 // behind bits, big_values, gain, scalefac_compress
	if !f.mpeg1() {
		switching += 5
	}
	bad := false
	f.each(func(at int) { bad = bad || bitsAt(f.side(), at+switching, 3) == 0b100 }) // a flag, two bits of block type
	return bad
}
