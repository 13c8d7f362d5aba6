package ffmpeg

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"mp3converter/internal/ffmpeg/container"
	"mp3converter/internal/job"
)

const (
	// slack is what an MP3 may always lack: encoders pad the first and last frame, containers round.
	slack = 100 * time.Millisecond
	// share is the part of the sound that it may lack beyond that: one in share.
	share = 200
	// packet is how long the sound of a packet is that could not be decoded: AAC 21 to 23 ms, MP3 26, AC-3 32.
	packet = 26 * time.Millisecond
	// tooManyErrors is ffmpeg's exit status when most packets could not be decoded.
	tooManyErrors = 69
)

// enough reports whether so much sound counts as all of it.
func enough(sound, want time.Duration) bool { return sound >= want-max(want/share, slack) }

// outcome is all there is to judge a run of ffmpeg by.
type outcome struct {
	video    video
	mp3      mp3File
	findings *findings
	reach    time.Duration  // see progress
	ended    bool           // see progress
	signal   syscall.Signal // that ended ffmpeg; 0 is none
	code     int            // exit status
	cpu      time.Duration  // that ffmpeg has used
	limit    int64          // the MP3 must be smaller; 0 is MaxBytes
	ours     bool           // what it read was of our making, and nothing is the video's fault
}

func (p *process) result(m mp3File) Result {
	return Result{Duration: m.Sound, Bytes: m.bytes, Began: p.began, Ended: p.over}
}

func (p *process) outcome(m mp3File) outcome {
	o := outcome{
		video: p.video, mp3: m, findings: p.findings, reach: p.progress.reach(), ended: p.progress.ended(),
		code: p.state.ExitCode(), cpu: p.state.UserTime() + p.state.SystemTime(),
	}
	if status, ok := p.state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		o.signal = status.Signal()
	}
	return o
}

// mp3File is what lies in the output file.
type mp3File struct {
	container.Facts
	bytes int64
}

// readMP3 reads the length that ffmpeg has written into the MP3's head at the end. No bytes, or others, are no error.
func readMP3(out *os.File) (mp3File, error) {
	info, err := out.Stat()
	if err != nil {
		return mp3File{}, fmt.Errorf("read mp3: %w", err)
	}
	facts, err := container.Read(out, info.Size())
	if err != nil && !errors.Is(err, container.ErrEmpty) && !errors.Is(err, container.ErrUnknown) {
		return mp3File{}, fmt.Errorf("read mp3: %w", err)
	}
	return mp3File{facts, info.Size()}, nil
}

// whole reports whether the MP3 says how long it is and is no shorter.
func (m mp3File) whole() bool { return m.Format == container.MP3 && m.Exact && !m.Cut }

// What sound is like, from telephones to studios: 16 channels are what the cable of a broadcast camera carries, and the most
// that ffmpeg mixes down.
const (
	maxChannels = 16
	minRate     = 1_000
	maxRate     = 768_000
)

// refuse says what is already certain from the video's headers.
func (r Runner) refuse(f container.Facts) error {
	switch present := f.Sound - f.Missing; {
	case f.Locked:
		return job.Failing(job.ReasonUnsupported, "its sound is encrypted")
	case f.Form.Channels > maxChannels:
		return job.Failing(job.ReasonUnsupported, "%d channels, and %d is the limit", f.Form.Channels, maxChannels)
	case f.Form.Rate > 0 && (f.Form.Rate < minRate || f.Form.Rate > maxRate):
		return job.Failing(job.ReasonUnsupported, "%d samples per second, and %d to %d are the limits", f.Form.Rate, minRate, maxRate)
	case f.Exact && f.Sound > r.MaxDuration:
		return job.Failing(job.ReasonTooLong, "%s, and %s is the limit", clock(f.Sound), clock(r.MaxDuration))
	case f.Exact && !enough(present, f.Sound):
		return truncated(present, f.Sound)
	}
	return nil
}

// judge returns nil if the MP3 is the video's sound.
func (r Runner) judge(o outcome) error {
	if err := r.finished(o); err != nil {
		return err
	}
	switch {
	case max(o.reach, o.mp3.Sound) > r.MaxDuration:
		return r.tooLong()
	case o.reach == 0:
		return o.nothing()
	case !o.mp3.whole():
		return fmt.Errorf("ffmpeg: made no whole MP3: %s", o.findings.complaint)
	}
	return o.complete()
}

// finished returns nil if ffmpeg came to the end of its work, whatever that is worth.
func (r Runner) finished(o outcome) error {
	switch {
	case o.findings.has(diskFull): // with any exit status, 0 among them
		return fmt.Errorf("ffmpeg: %w: %s", job.ErrTransient, o.findings.complaint)
	case o.findings.has(noMemory): // the same: what it could not decode it leaves out
		return fmt.Errorf("ffmpeg: out of memory: %s", o.findings.complaint)
	case o.mp3.bytes >= cmp.Or(o.limit, r.MaxBytes), o.signal == syscall.SIGXFSZ:
		return r.tooLarge()
	case o.signal == syscall.SIGKILL && o.cpu > r.allowed(o.video.bytes, r.MaxDuration)-time.Second: // the kernel counts more finely
		return job.Failing(job.ReasonTooSlow, "%s of sound in %s of a processor's time", clock(o.reach), clock(o.cpu))
	case o.signal != 0:
		return fmt.Errorf("ffmpeg: ended by signal: %v", o.signal)
	case o.code != 0:
		return o.refusal()
	case !o.ended:
		return errors.New("ffmpeg: ended without a word")
	}
	return nil
}

func (r Runner) tooLarge() error {
	return job.Failing(job.ReasonTooLarge, "%d MB is the limit", r.MaxBytes/1e6)
}

func (r Runner) tooLong() error {
	return job.Failing(job.ReasonTooLong, "more than %s", clock(r.MaxDuration))
}

// refusal says why ffmpeg gave up.
func (o outcome) refusal() error {
	switch f := o.findings; {
	case o.ours: // below
	case f.has(noTrack):
		return job.Failing(job.ReasonNoAudio, "")
	case f.has(noDecoder), f.has(noMixing):
		return job.Failing(job.ReasonUnsupported, "the codec of its sound")
	case o.code == tooManyErrors && !o.cut():
		return job.Failing(job.ReasonUnreadable, "most of its sound cannot be decoded")
	case (o.code == tooManyErrors || f.has(badInput)) && o.cut():
		return lostItsEnd()
	case f.has(badInput):
		return job.Failing(job.ReasonUnreadable, "")
	}
	return fmt.Errorf("ffmpeg: exit status %d: %s", o.code, o.findings.complaint)
}

// nothing says why no sound was made.
func (o outcome) nothing() error {
	switch {
	case o.video.Exact:
		return truncated(0, o.video.Sound)
	case o.cut():
		return lostItsEnd()
	case o.lost() > 0:
		return job.Failing(job.ReasonUnreadable, "its sound cannot be decoded")
	}
	return job.Failing(job.ReasonNoAudio, "its audio track is empty")
}

// complete holds the sound that was made against the sound there should be. A track may have gaps, as recorders of calls
// leave them for silence; then the sound is shorter than the track, and all there only if nothing is damaged.
func (o outcome) complete() error {
	if o.cut() && o.video.Sound == 0 {
		return lostItsEnd()
	}
	sound, want := o.mp3.Sound, o.want()
	if enough(sound, want) || !o.damaged() && enough(o.reach, want) {
		return nil
	}
	return truncated(sound, want)
}

// want is how long the sound should be: as long as its track declares, or, where only the file as a whole declares a
// length, as far as it went and, if it is cut, that length.
func (o outcome) want() time.Duration {
	want := o.mp3.Sound + o.lost()
	switch {
	case o.video.Exact:
		return o.video.Sound
	case o.cut():
		return max(want, o.reach, o.video.Sound)
	case o.damaged():
		return max(want, o.reach)
	}
	return want
}

// damaged reports whether anything is known to be missing or unreadable, be it of the picture only.
func (o outcome) damaged() bool {
	return o.cut() || o.findings.has(lostPacket) || o.findings.has(damage)
}

func (o outcome) cut() bool { return o.video.Cut || o.findings.has(lostEnd) }

func (o outcome) lost() time.Duration { return time.Duration(o.findings.counts[lostPacket]) * packet }

func truncated(sound, want time.Duration) error {
	if want < 100*time.Second {
		return job.Failing(job.ReasonTruncated, "%.1f of %.1f s", sound.Seconds(), want.Seconds())
	}
	return job.Failing(job.ReasonTruncated, "%s of %s", clock(sound), clock(want))
}

func lostItsEnd() error {
	return job.Failing(job.ReasonTruncated, "the end of the file is missing")
}

// clock writes a duration for people: 4.3 s, 1:02:03.
func clock(d time.Duration) string {
	if d < 100*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	s := int64(d / time.Second)
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}
