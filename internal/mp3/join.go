package mp3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// What two encodes must agree on to be spliced: consecutive frames, and how many of them must not be Silent: silence agrees
// with silence.
const (
	equalFrames    = 12
	soundingFrames = 8
)

// LeadIn is how many frames at the beginning of a segment are never used, nor compared. LAME adapts its threshold of hearing
// to the loudness, by up to 32 dB, and downwards by no more than 7.5 % of that power a frame: until two encodes have the same
// threshold, frames may agree and later ones differ. In 1600 pairs of encodes of a sound whose loudness changes a lot, 4.5 %
// did so after 12 equal frames, 0.6 % beyond frame 32, none beyond 64; in a model of it the longest of 60,000 took 106.
const LeadIn = 96

// Overlap is how many frames a segment should go on beyond the LeadIn of the one after it: enough for nearly all sounds, and
// for LAME, which looks ahead, to end.
const Overlap = 24

// lastFrames are those of a segment that may show that it ends.
const lastFrames = 8

// window is how many of the last frames of a segment stay in memory, so that another encode can still take over from there.
const window = 512

var errReservoir = errors.New("mp3: the bit reservoir is in use")

// A Joiner makes one stream of segments, which are encodes of parts of one sound, without the bit reservoir and all with the
// same settings. A segment begins at a multiple of the frame's samples, and goes on beyond the beginning of the one after
// it. What is written is that which one encode of the whole would have been, see the package's comment.
//
// Frames are read when they are needed: a segment must stay readable until the next Add or Close has returned.
type Joiner struct {
	Dst    io.WriteSeeker // written from where it stands
	Repack bool           // use the bit reservoir, see Repack
	// Samples is how long the whole sound is, if that is known before Close. ffmpeg's own header makes a sound that goes on for
	// less than 47 samples in its last frame up to 46 samples longer than it is; ours is exact then, and so differs.
	Samples int64

	w      *writer
	packer *packer

	current *Reader
	first   int64   // index of current's first frame
	held    []Frame // read of current, not written
	next    int64   // index of held[0]
	info    Info
}

// An OverlapError says that a segment agrees nowhere with what is there, so that it was not added. The caller encodes what
// lies Between, adds that, which may fail in the same way, and then the segment once more; with a larger number the next time.
type OverlapError struct {
	Begin int64 // the first frame of the segment before
	End   int64 // the frame after its last
	First int64 // of the segment that was not added
	Equal int   // the longest run of equal frames
}

func (e *OverlapError) Error() string {
	return fmt.Sprintf("mp3: of frames %d to %d two encodes agree on %d in succession, not enough to splice them", e.First, e.End, e.Equal)
}

// Between returns the first frame, and the one after the last, of an encode that can close the gap: it has so many frames
// more to come to agree at either end. One that begins where the segment before begins is that segment, only longer, and
// always accepted. So repeating it with larger numbers ends at the latest when the end of the sound is reached; such an
// encode is the last segment.
func (e *OverlapError) Between(more int64) (first, end int64) {
	return max(e.Begin, e.First-more), max(e.First, e.End) + more
}

// Add adds a segment whose first frame has the given index in the whole sound; that of the first segment is 0. After an
// OverlapError all is as before.
func (j *Joiner) Add(segment io.Reader, first int64) error {
	r := NewReader(segment)
	if j.current == nil {
		return j.begin(r, first)
	}
	overlap := &OverlapError{Begin: j.first, First: first}
	splice, err := j.findSplice(r, first, &overlap.Equal)
	if errors.Is(err, io.EOF) { // either of them has ended
		overlap.End = j.end()
		return overlap
	} else if err != nil {
		return err
	}
	if err := j.release(splice - j.next); err != nil {
		return err
	}
	j.current, j.first, j.held = r, first, nil
	return nil
}

func (j *Joiner) begin(r *Reader, first int64) error {
	if first != 0 {
		return fmt.Errorf("mp3: the first segment begins with frame %d", first)
	}
	r.keep = true
	f, err := read(r)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if j.w, err = newWriter(j.Dst, r.tag, r.header); err != nil {
		return err
	}
	if j.Repack {
		j.packer = &packer{write: j.w.add}
	}
	j.current = r
	if f != nil {
		j.held = append(j.held, bytes.Clone(f))
	}
	return nil
}

// read returns the next frame of a segment, which an encoder wrote and nothing damaged.
func read(r *Reader) (Frame, error) {
	before := r.stream
	f, err := r.Next()
	switch {
	case r.Lost() > 0:
		return nil, fmt.Errorf("mp3: %d bytes of a segment are no frame", r.Lost())
	case err != nil:
		return nil, err
	case before != 0 && before != r.stream:
		return nil, errors.New("mp3: rate or channels change")
	case f.MainDataBegin() != 0:
		return nil, errReservoir
	}
	return f, nil
}

// end is the index after the last frame read of current.
func (j *Joiner) end() int64 { return j.next + int64(len(j.held)) }

// pull reads a frame of current into held.
func (j *Joiner) pull() error {
	f, err := read(j.current)
	if err != nil {
		return err
	}
	j.held = append(j.held, bytes.Clone(f))
	if len(j.held) > window {
		return j.release(1)
	}
	return nil
}

// release writes the first n of held.
func (j *Joiner) release(n int64) error {
	for _, f := range j.held[:n] {
		if err := j.write(f); err != nil {
			return err
		}
	}
	j.held = j.held[n:]
	j.next += n
	return nil
}

func (j *Joiner) write(f Frame) error {
	if j.packer != nil {
		return j.packer.add(f)
	}
	return j.w.add(f)
}

// readTo reads current up to the frame before index.
func (j *Joiner) readTo(index int64) error {
	for j.end() < index {
		if err := j.pull(); err != nil {
			return err
		}
	}
	return nil
}

// drain reads current to its end.
func (j *Joiner) drain() error {
	for {
		if err := j.pull(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// findSplice compares current and r, and returns the index of the first frame to take from r: the one after the first run of
// equal frames that is long enough. io.EOF says that there is none. The longest run goes to longest.
func (j *Joiner) findSplice(r *Reader, first int64, longest *int) (int64, error) {
	same := first == j.first
	from := first + LeadIn
	var err error
	if same {
		from, err = first, j.drain()
	} else {
		err = j.readTo(from)
	}
	if err != nil {
		return 0, err
	}
	at := max(from, j.next) // what is before that is written
	if err := skip(r, at-first); err != nil {
		return 0, err
	}
	if same {
		return j.takeOver(r, at)
	}
	var run []bool // of equal frames up to here: which of them sound
	for ; ; at++ {
		f, err := read(r)
		if err == nil && at == j.end() {
			err = j.pull()
		}
		if err != nil {
			return 0, err
		}
		if !bytes.Equal(f, j.held[at-j.next]) {
			run = run[:0]
			continue
		}
		run = append(run, !f.Silent())
		*longest = max(*longest, len(run))
		if len(run) >= equalFrames && countTrue(run[len(run)-equalFrames:]) >= soundingFrames {
			return at + 1, nil
		}
	}
}

// takeOver is findSplice where r is current, only longer: encoders repeat themselves, so nothing but a caller's mistake
// needs to be looked for.
func (j *Joiner) takeOver(r *Reader, at int64) (int64, error) {
	for ; at < j.end()-lastFrames; at++ {
		f, err := read(r)
		if err != nil {
			return 0, err
		}
		if !bytes.Equal(f, j.held[at-j.next]) {
			return 0, fmt.Errorf("mp3: of the segment that begins with frame %d two encodes differ", j.first)
		}
	}
	return at, nil
}

// skip reads n frames.
func skip(r *Reader, n int64) error {
	for ; n > 0; n-- {
		if _, err := read(r); err != nil {
			return err
		}
	}
	return nil
}

func countTrue(bs []bool) int {
	n := 0
	for _, b := range bs {
		if b {
			n++
		}
	}
	return n
}

// Close goes on with the last segment to its end, and writes the header.
func (j *Joiner) Close() error {
	if j.current == nil {
		return errors.New("mp3: no segment")
	}
	if err := j.drain(); err != nil {
		return err
	}
	if err := j.release(int64(len(j.held))); err != nil {
		return err
	}
	if j.packer != nil {
		if err := j.packer.flush(); err != nil {
			return err
		}
	}
	info, err := j.w.end(j.current.header, j.Samples)
	j.info = info
	return err
}

// Info is the header that Close has written.
func (j *Joiner) Info() Info { return j.info }
