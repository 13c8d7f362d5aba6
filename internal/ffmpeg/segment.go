package ffmpeg

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// segment is a part of the sound, by MP3 frames.
type segment struct {
	first, end int64
	last       bool // up to the end of the sound
	bridge     bool // between two others
	bridged    int  // how many bridges have been tried before it
	mp3        *os.File
	process    *process
	done       bool
}

func (s *segment) String() string {
	kind := "segment"
	if s.bridge {
		kind = "bridge"
	}
	return fmt.Sprintf("%s %d-%d", kind, s.first, s.end)
}

func (s *segment) close() {
	if s != nil && s.mp3 != nil {
		s.mp3.Close()
	}
}

// launch starts the encoder of a segment that waits.
func (s *split) launch(next *segment) error {
	file, err := s.Temp()
	if err != nil {
		return err
	}
	s.waiting = s.waiting[1:]
	next.mp3 = file
	next.process = &process{
		runner: s.Runner, in: s.pcm.file, out: file, args: s.encodeArgs(next), most: s.limit(s.options.profile()) + beyond,
		progress: newProgress(nil, nil), findings: newFindings(),
	}
	s.encoders++
	s.seat.say(next.String())
	s.start(next.process, func() error {
		s.encoders--
		s.seat.giveBack()
		next.done = true
		return s.check(next)
	})
	return nil
}

// check returns an error unless the segment's encoder has done what it should. The video is not to blame for any.
func (s *split) check(done *segment) error {
	m, err := readMP3(done.mp3)
	if err != nil {
		return err
	}
	o := done.process.outcome(m)
	o.ours, o.limit = true, s.limit(s.options.profile())
	if err := s.finished(o); err != nil {
		return err
	}
	want := s.time(min(done.end*s.pcm.frame(), s.pcm.samples) - done.first*s.pcm.frame())
	if !m.whole() || !s.same(m.Sound, want) {
		return fmt.Errorf("ffmpeg: %v of a segment of %v: %s", m.Sound, want, o.findings.complaint)
	}
	return nil
}

// same says whether an MP3 is as long as its sound, as far as ffmpeg writes that: up to 46 samples are too many, see mp3.Joiner.
func (s *split) same(made, want time.Duration) bool {
	const more, rounded = 46, time.Microsecond
	return made >= want-rounded && made <= want+s.time(more)+rounded
}

// encodeArgs are ffmpeg's arguments for a segment.
func (s *split) encodeArgs(next *segment) []string {
	o := Options{Profile: s.options.Profile}
	if next.first == 0 {
		o.Title = s.options.Title
	}
	args := slices.Concat(common, []string{
		"-protocol_whitelist", "file", "-format_whitelist", "f32le", "-codec_whitelist", "pcm_f32le", "-threads", "1",
		"-f", "f32le", "-ar", strconv.FormatInt(s.pcm.rate, 10), "-ac", strconv.FormatInt(s.pcm.channels, 10),
		"-skip_initial_bytes", strconv.FormatInt(s.pcm.offset(next.first), 10),
	})
	if !next.last {
		args = append(args, "-t", microseconds((next.end-next.first)*s.pcm.frame(), s.pcm.rate))
	}
	return slices.Concat(args, []string{"-i", inPath}, soundOnly, s.mostBytes(o), []string{"-filter_threads", "1"}, o.encoder(), o.output())
}

// microseconds writes the time of so many samples, in seconds, so that ffmpeg reads the same number of samples.
func microseconds(samples, rate int64) string {
	us := (samples*2*1e6 + rate) / (2 * rate)
	s := strconv.FormatInt(us/1e6, 10)
	rest := strconv.FormatInt(1e6+us%1e6, 10)
	return s + strings.Replace(rest, "1", ".", 1)
}
