package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"mp3converter/internal/job"
	layer3 "mp3converter/internal/mp3"
)

// copied are the profiles for which an MP3 within a video is taken as it is, with the most bits per second that it may have
// on average. Encoding it once more takes fifty times as long and can only lose, most where there is little to lose.
//
//	high, best  ask for the best sound there is, and that is the source's
//	standard    asks for a file of about 130 kb/s. One of up to 192 kb/s, and what a header adds, is as good as what was
//	            asked for; a larger one is not, and of so much sound another encoding loses least
//	cbr128      promises the bytes that the original's command makes, of any source
//	voice       promises mono at 24 kHz, which no video has
var copied = map[job.Profile]int64{job.Standard: 200_000, job.High: math.MaxInt64, job.Best: math.MaxInt64}

// errOdd says that a copy is not certain to be what an encoding would be held to. It is no verdict on the video.
var errOdd = errors.New("not to be copied")

// copy takes the frames as they are. Nothing is decoded, and so nothing that is wrong with them is heard of: unless all is right
// that can be told without, the error is errOdd, out is empty, and encoding has the last word. What ends ffmpeg by force, or is wrong
// with the machine, is not odd.
func (r Runner) copy(ctx context.Context, in, out *os.File, video video, o Options) (_ Result, err error) {
	defer func() {
		if !errors.Is(err, errOdd) {
			return
		}
		if failed := out.Truncate(0); failed != nil {
			err = fmt.Errorf("empty the mp3: %w: %w", job.ErrTransient, failed)
		}
	}()
	c := conversion{r, in, out, video, o, nil}
	p := c.process(r.copyArgs(video.Format, o)) // tells of no progress: it takes a few seconds, and an encoding may follow
	p.out = out
	if err := p.run(ctx); err != nil {
		return Result{}, err
	}
	if err := look(out); err != nil {
		return Result{}, err
	}
	made, err := readMP3(out)
	if err != nil {
		return Result{}, err
	}
	if err := r.trust(p.outcome(made), copied[o.profile()]); err != nil {
		return Result{}, fmt.Errorf("%w: %w", errOdd, err)
	}
	result := p.result(made)
	result.Copied = true
	return result, nil
}

// look reads the copy and returns errOdd unless it is whole frames of one kind, one after another, none of which a decoder
// would refuse or need more for than there is. What is in them it does not see, nor would an encoding's verdict depend on it.
func look(out *os.File) error {
	info, err := out.Stat()
	if err != nil {
		return fmt.Errorf("look at the copy: %w", err)
	}
	all := io.NewSectionReader(out, 0, info.Size())
	facts, err := layer3.Check(all)
	switch {
	case err != nil:
		return fmt.Errorf("look at the copy: %w", err)
	case facts.Frames == 0, facts.Frames != facts.Info.Frames, facts.Headless+facts.Impossible+facts.Changes+facts.Lost > 0:
		return fmt.Errorf("%w: %d frames of %d, %d headless, %d impossible, %d of another kind, %d bytes of none", errOdd,
			facts.Frames, facts.Info.Frames, facts.Headless, facts.Impossible, facts.Changes, facts.Lost)
	}
	head := make([]byte, 32)
	n, err := all.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("look at the copy: %w", err)
	}
	return mend(out, int64(layer3.TagSize(head[:n])), facts.Info)
}

// mend corrects what the header says of the samples at both ends that are no sound, where the container did not say it.
func mend(out *os.File, at int64, info layer3.Info) error {
	delay, padding := info.Delay, max(info.Padding, decoderDelay)
	if delay == noDelay {
		delay = 0
	}
	if delay == info.Delay && padding == info.Padding {
		return nil
	}
	return layer3.SetGap(out, at, delay, padding)
}

const (
	// decoderDelay is that of every decoder, in samples. It counts as padding, which is never less, and not as delay.
	decoderDelay = 528 + 1
	// noDelay is what ffmpeg (5.1) writes as the delay if it knows the padding only: less than none, in 12 bits. Players would
	// leave out as much, which is more than two frames.
	noDelay = -decoderDelay & 0xFFF
)

// trust returns nil if the frames that were copied are the video's sound, in one piece and of nothing else.
func (r Runner) trust(o outcome, most int64) error {
	if err := r.judge(o); err != nil {
		return err
	}
	same := func(a, b time.Duration) bool { return enough(a, b) && enough(b, a) }
	switch {
	case o.cut(), o.findings.any():
		return errors.New("damaged: " + o.findings.complaint)
	case !same(o.mp3.Sound, o.reach): // gaps, which an encoder closes as well
		return fmt.Errorf("%v of sound in %v", o.mp3.Sound, o.reach)
	case o.video.Exact && !same(o.mp3.Sound, o.video.Sound): // an edit list that leaves something out, which frames cannot
		return fmt.Errorf("%v of sound, and %v is declared", o.mp3.Sound, o.video.Sound)
	case float64(o.mp3.bytes)*8 > float64(most)*o.mp3.Sound.Seconds():
		return fmt.Errorf("more than %d kb/s", most/1000)
	}
	return nil
}
