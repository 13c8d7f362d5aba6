package ffmpeg

import (
	"time"

	"mp3converter/internal/mp3"
)

// next returns the segment that is to be encoded next, if its sound is there.
func (s *split) next() (*segment, error) {
	if len(s.waiting) == 0 {
		if err := s.slice(); err != nil {
			return nil, err
		}
	}
	if len(s.waiting) == 0 {
		return nil, nil //nolint:nilnil // not yet
	}
	first := s.waiting[0]
	if !s.decoded && first.end > s.pcm.frames() {
		s.need = max(s.need, first.end)
		return nil, nil //nolint:nilnil // not yet
	}
	return first, nil
}

// slice cuts the next segment off, if there are not enough of them already.
func (s *split) slice() error {
	have := s.pcm.frames()
	if s.pcm.data == 0 || s.ended() || len(s.queue) > s.seat.most() {
		return nil
	}
	length := s.decide()
	begin := max(0, s.cut-mp3.LeadIn)
	end := begin + length - s.overlap()
	if s.decoded && have < end+length/2 {
		return s.add(&segment{first: begin, end: have + 1, last: true})
	}
	if least := end + length/2; s.planned && !s.decoded && least > s.whole && have < least {
		s.need = least // or the end, which is near: so little is no segment of its own
		return nil
	}
	for ; end+s.overlap() <= have; end += step {
		good, err := s.mayCut(end)
		if err != nil {
			return err
		}
		if good {
			s.cut = end
			return s.add(&segment{first: begin, end: end + s.overlap()})
		}
		if end-begin > 2*length {
			return errSerial
		}
	}
	if s.decoded {
		return s.add(&segment{first: begin, end: have + 1, last: true})
	}
	s.need = end + s.overlap()
	return nil
}

// step is how many frames to look on for a place to cut.
const step = 16

// overlap is how many frames a segment goes on beyond its end.
func (s *split) overlap() int64 { return s.seat.plan.overlap }

// ended says whether a segment to the end of the sound has been cut.
func (s *split) ended() bool { return len(s.queue) > 0 && s.queue[len(s.queue)-1].last }

// decide returns how many frames the next segment is to have. Where the length of the sound is certain, so are all lengths.
func (s *split) decide() int64 {
	if !s.planned {
		known := s.video.sofar()
		s.planned = s.decoded || known.Exact
		sound := known.Sound
		s.whole = s.framesIn(sound)
		if s.decoded {
			sound = s.time(s.pcm.samples - s.cut*s.pcm.frame())
		}
		seam := mp3.LeadIn + s.overlap()
		first, others := s.seat.plan.lengths(sound, s.time(seam*s.pcm.frame()), s.seat.most())
		s.first, s.length = max(seam+step, s.framesIn(first)), max(seam+step, s.framesIn(others))
	}
	if s.cut == 0 {
		return s.first
	}
	return s.length
}

// framesIn is how many whole frames so much sound has.
func (s *split) framesIn(sound time.Duration) int64 {
	return int64(sound.Seconds()*float64(s.pcm.rate)) / s.pcm.frame()
}

// mayCut says whether there is something to hear where two encodes will be compared.
func (s *split) mayCut(frame int64) (bool, error) {
	n, err := s.pcm.sounding(frame, frame+s.overlap())
	return n >= int(s.overlap())*3/4, err
}

// add appends a segment.
func (s *split) add(next *segment) error {
	first, err := s.begin(next.first)
	if err != nil {
		return err
	}
	next.first = first
	s.waiting = append(s.waiting, next)
	s.queue = append(s.queue, next)
	return nil
}

// begin returns a frame with which a segment may begin, about there.
func (s *split) begin(frame int64) (int64, error) {
	for ; ; frame-- {
		if tagged, err := s.pcm.tagged(frame); err != nil || !tagged {
			return frame, err
		}
		if frame == 0 {
			return 0, errSerial
		}
	}
}
