package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"mp3converter/internal/mp3"
)

// errSerial says that nothing is wrong, but one process must do it all.
var errSerial = errors.New("ffmpeg: no place to cut")

// maySplit says whether several processes are faster and give the same.
func (c conversion) maySplit() bool {
	if !packs(c.options.profile()) {
		return false
	}
	const fat = 16 << 10 // bytes of video, for a second of sound of an unknown length
	sound := c.video.Sound
	if sound == 0 {
		sound = time.Duration(c.video.bytes/fat) * time.Second
	}
	return c.seat.share(sound)
}

// split is a conversion by several processes: one decodes the video to a scratch file, others encode a segment of that each,
// as many at a time as there are idle cores, and what they make is joined in order (see package mp3). All its fields belong
// to the goroutine that calls run.
type split struct {
	conversion

	ctx     context.Context
	kill    context.CancelCauseFunc
	begun   time.Time
	news    chan struct{} // a process has made progress
	ends    chan func() error
	running int       // processes
	over    time.Time // when the last of them ended

	pcm     pcm
	probed  *os.File // nil, or see probe
	decoder *process
	decoded bool  // all of it
	cut     int64 // frame up to which it has been cut into segments
	first   int64 // frames of the first segment
	length  int64 // frames of each other one
	planned bool  // both stay as they are
	whole   int64 // frames of the whole sound, as far as is known
	need    int64 // frame up to which sound must be there for the next step

	waiting  []*segment // to be encoded
	queue    []*segment // to be joined, the waiting ones among them
	encoders int        // running
	made     *progress  // of all segments together
	joiner   mp3.Joiner
	current  *segment // that the joiner reads
	complete bool     // up to the end of the sound
}

// split converts by several processes.
func (c conversion) split(ctx context.Context) (Result, error) {
	watched, kill := context.WithCancelCause(ctx)
	s := &split{
		conversion: c, ctx: watched, kill: kill, begun: time.Now(),
		news: make(chan struct{}, 1), ends: make(chan func() error),
		made:   newProgress(c.video.length, c.options.Progress),
		joiner: mp3.Joiner{Dst: io.NewOffsetWriter(c.out, 0), Repack: true},
	}
	defer s.close()
	err := s.run()
	s.stop(err)
	switch {
	case ctx.Err() != nil:
		return Result{}, fmt.Errorf("ffmpeg: stopped: %w: %w", ctx.Err(), context.Cause(ctx))
	case err != nil:
		return Result{}, disk(err)
	}
	result, err := c.result(s.decoder, c.MaxBytes)
	result.Ended = s.over
	return result, err
}

// run returns when the MP3 is there. Processes may still run, if there was an error.
func (s *split) run() error {
	info, err := s.out.Stat()
	if err == nil && info.Size() > 0 { // what copying has left, see copy
		err = s.out.Truncate(0)
	}
	if err != nil {
		return fmt.Errorf("ffmpeg: join: %w", err)
	}
	if s.pcm.file, err = s.Temp(); err != nil {
		return err
	}
	s.decode("")
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for !s.complete {
		if err := s.advance(); err != nil {
			return err
		}
		select {
		case end := <-s.ends:
			err = end()
		case now := <-ticker.C:
			err = s.late(now)
		case <-s.news:
		case <-s.seat.more():
		}
		if err != nil {
			return err
		}
	}
	return s.finish()
}

// late returns the reason to end it all now, nil if there is none.
func (s *split) late(now time.Time) error {
	return s.slow(now.Sub(s.video.coming.Since(s.begun)), s.video.bytes, s.reach())
}

// stop ends all processes and waits for them.
func (s *split) stop(why error) {
	s.kill(why)
	for s.running > 0 {
		_ = (<-s.ends)()
	}
}

func (s *split) close() {
	for _, f := range []*os.File{s.pcm.file, s.probed} {
		f.Close() // nil does nothing
	}
	for _, segment := range append(s.queue, s.current) {
		segment.close()
	}
}

// start runs a process, and then after in the loop.
func (s *split) start(p *process, after func() error) {
	p.shared, p.progress.news = true, s.tell
	s.running++
	go func() {
		err := p.run(s.ctx)
		s.ends <- func() error {
			s.running--
			s.over = p.over
			if err != nil {
				return err
			}
			return after()
		}
	}()
}

func (s *split) tell() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// reach is where in the video the sound stands that has been encoded: gaps count as done.
func (s *split) reach() time.Duration {
	gaps := s.decoder.progress.reach() - s.time(s.pcm.samples)
	return s.made.reach() + max(0, gaps)
}

// time is how long so many samples sound.
func (s *split) time(samples int64) time.Duration {
	if s.pcm.rate == 0 {
		return 0
	}
	return time.Duration(samples/s.pcm.rate)*time.Second + time.Duration(samples%s.pcm.rate)*time.Second/time.Duration(s.pcm.rate)
}

// advance does whatever can be done now.
func (s *split) advance() error {
	if err := s.pcm.look(); err != nil {
		return err
	}
	if s.time(s.pcm.samples) > s.MaxDuration { // to ffmpeg, -t and out_time begin anew where rate or channels change
		return s.tooLong()
	}
	if s.decoded && s.pcm.samples == 0 {
		return s.silence()
	}
	s.measure()
	if err := s.join(); err != nil || s.complete {
		return err
	}
	for {
		next, err := s.next()
		if err != nil {
			return err
		}
		if next == nil || s.encoders > 0 && !s.seat.borrow() {
			break
		}
		if err := s.launch(next); err != nil {
			return err
		}
	}
	const bit = 64 // frames, so that it is not held at every step
	s.decoder.hold(!s.decoded && s.pcm.frames() > s.need+bit)
	return nil
}

// silence is the end of a video without a sample.
func (s *split) silence() error {
	_, err := s.result(s.decoder, s.MaxBytes)
	return err
}

// measure tells how far the encoders are.
func (s *split) measure() {
	var made time.Duration
	for _, segment := range s.queue {
		if segment.process != nil && !segment.bridge {
			made += segment.process.progress.reach()
		}
	}
	if s.current != nil {
		made += s.time(s.current.end * s.pcm.frame())
	}
	s.made.reached(made)
}
