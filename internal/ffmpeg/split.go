package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"mp3converter/internal/job"
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
	length  int64 // frames of a segment
	planned bool  // length stays as it is
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
		made:   newProgress(c.video.Sound, c.options.Progress),
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

// decode starts the decoder. It makes the sound of that shape; "" leaves the choice to ffmpeg.
func (s *split) decode(shape string) {
	const loudest = 2 * 48000 * floatSize // bytes a second
	s.decoder = s.process(s.decodeArgs(shape))
	s.decoder.out, s.decoder.most = s.pcm.file, int64((s.MaxDuration+2*overrun).Seconds())*loudest+beyond
	s.start(s.decoder, func() error {
		o := s.decoder.outcome(mp3File{})
		if o.findings.has(noMixing) && shape == "" {
			return s.probe()
		}
		if err := s.finished(o); err != nil {
			return err
		}
		if o.reach > s.MaxDuration { // else the encoders might find out in an hour
			return s.judge(o)
		}
		s.decoded = true
		return nil
	})
}

// probe makes the beginning of an MP3, to find out what ffmpeg makes of sound that no MP3 can hold, as of six channels, and has
// the video decoded to that. To ffmpeg's filters the choice is clear only at their very end.
func (s *split) probe() error {
	if err := s.pcm.look(); err != nil {
		return err
	}
	if s.pcm.data != 0 { // it is midway, and encoders may read what there is
		return errSerial
	}
	file, err := s.Temp()
	if err != nil {
		return err
	}
	s.probed = file
	args := s.args(s.video.Format, s.options)
	p := s.process(slices.Insert(args, len(args)-1, "-frames:a", "2"))
	p.out = file
	s.start(p, func() error {
		facts, err := mp3.Check(io.NewSectionReader(file, 0, probeSize))
		if err != nil {
			return fmt.Errorf("ffmpeg: probe: %w", err)
		}
		if facts.Frames == 0 {
			return errSerial // it knows the words for what is wrong
		}
		layout := "mono"
		if facts.Channels > 1 {
			layout = "stereo"
		}
		s.decode(fmt.Sprintf("sample_rates=%d:channel_layouts=%s", facts.Rate, layout))
		return nil
	})
	return nil
}

// probeSize is how much of a probe is looked at: title, header and two frames.
const probeSize = 1 << 20

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
	s.decide()
	begin := max(0, s.cut-mp3.LeadIn)
	end := begin + s.length - s.overlap()
	if s.decoded && have < end+s.length/2 {
		return s.add(&segment{first: begin, end: have + 1, last: true})
	}
	if least := end + s.length/2; s.planned && !s.decoded && least > s.whole && have < least {
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
		if end-begin > 2*s.length {
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

// decide sets the length of the segments: for good where the length of the sound is certain.
func (s *split) decide() {
	if s.planned {
		return
	}
	s.planned = s.decoded || s.video.Exact
	sound := s.video.Sound
	s.whole = int64(sound.Seconds()*float64(s.pcm.rate)) / s.pcm.frame()
	if s.decoded {
		sound = s.time(s.pcm.samples - s.cut*s.pcm.frame())
	}
	seam := mp3.LeadIn + s.overlap()
	length := s.seat.plan.length(sound, s.time(seam*s.pcm.frame()), s.seat.most())
	s.length = max(seam+step, int64(length.Seconds()*float64(s.pcm.rate))/s.pcm.frame())
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
		progress: newProgress(0, nil), findings: newFindings(),
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

// decodeArgs are ffmpeg's arguments for the sound as libmp3lame would get it, but as floats, which hold all that it takes. The
// filter is the one that ffmpeg itself puts before libmp3lame.
func (s *split) decodeArgs(shape string) []string {
	switch {
	case s.options.Profile == job.Voice:
		shape = "sample_rates=24000:channel_layouts=mono"
	case shape == "":
		shape = "sample_rates=44100|48000|32000|22050|24000|16000|11025|12000|8000:channel_layouts=mono|stereo"
	}
	return slices.Concat(
		[]string{"-stats_period", "0.05"}, s.input(s.video.Format),
		[]string{"-filter_threads", "1", "-af", closeGap + ",aformat=sample_fmts=s32p|fltp|s16p:" + shape},
		[]string{"-threads", "1", "-c:a", "pcm_f32le", "-f", "wav", "-rf64", "auto", "-y", outPath},
	)
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
