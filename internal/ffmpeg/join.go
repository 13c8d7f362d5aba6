package ffmpeg

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"mp3converter/internal/mp3"
)

// join joins the segments that are done, in order.
func (s *split) join() error {
	for len(s.queue) > 0 && s.queue[0].done && !s.complete {
		head := s.queue[0]
		err := s.joiner.Add(io.NewSectionReader(head.mp3, 0, 1<<62), head.first)
		if apart := (*mp3.OverlapError)(nil); errors.As(err, &apart) {
			if err := s.build(apart); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("ffmpeg: join: %w", err)
		}
		s.current.close()
		s.current, s.queue = head, s.queue[1:]
		s.complete = head.last
		if err := s.settle(); err != nil {
			return err
		}
	}
	return nil
}

// settle frees what is not needed any more, and looks at the limit.
func (s *split) settle() error {
	info, err := s.out.Stat()
	if err != nil {
		return fmt.Errorf("ffmpeg: join: %w", err)
	}
	if info.Size() >= s.MaxBytes {
		return s.tooLarge()
	}
	return s.pcm.free(max(s.current.first, s.current.end-2*bridges[len(bridges)-1]))
}

// build has a bridge made to the segment at the head of the queue, which agrees with those before it nowhere.
func (s *split) build(apart *mp3.OverlapError) error {
	head := s.queue[0]
	if head.bridge { // in vain
		head.close()
		s.queue = s.queue[1:]
		head = s.queue[0]
	}
	if head.bridged == len(bridges) {
		return errSerial
	}
	first, end := apart.Between(bridges[head.bridged])
	head.bridged++
	first, err := s.begin(first)
	if err != nil {
		return err
	}
	bridge := &segment{first: first, end: end, bridge: true}
	if s.decoded && bridge.end > s.pcm.frames() {
		bridge.end, bridge.last = s.pcm.frames()+1, true
	}
	s.waiting = slices.Insert(s.waiting, 0, bridge)
	s.queue = slices.Insert(s.queue, 0, bridge)
	return nil
}

// finish writes what is left of the MP3.
func (s *split) finish() error {
	s.seat.say("end")
	if err := s.joiner.Close(); err != nil {
		return fmt.Errorf("ffmpeg: join: %w", err)
	}
	made, want := s.joiner.Info().Duration(), s.time(s.pcm.samples)
	if !s.same(made, want) {
		return fmt.Errorf("ffmpeg: joined %v of %v", made, want)
	}
	return nil
}
