package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"mp3converter/internal/ffmpeg/container"
	"mp3converter/internal/spool"
)

// sequential are the containers that ffmpeg reads from front to back and to the same end, if what it needs to begin is in front.
var sequential = map[container.Format]bool{container.MP4: true, container.Matroska: true, container.MPEGTS: true}

// errLate says that a video that comes gave no MP3 that counts. It is no verdict on the video.
var errLate = errors.New("ffmpeg: to be converted from the whole file")

// Early is Convert of a video that is still to come. Where the format allows, ffmpeg reads what has come through a pipe. Only an
// MP3 counts that comes of a run with nothing odd about it, once all of the video is there: whatever else such a run ends with,
// the video is converted once more, from the file, so that a store that goes away never looks like a video that ends too soon.
// If the video does not come, its error is Early's. Early does not return before in ends.
func (r Runner) Early(ctx context.Context, in *spool.File, out *os.File, o Options) (Result, error) {
	o.Progress = growing(o.Progress)
	result, late := r.early(ctx, in, out, o)
	if err := in.Wait(); err != nil {
		return Result{}, fmt.Errorf("ffmpeg: video: %w", err)
	}
	if late == nil {
		return result, nil
	}
	return r.Convert(ctx, in.Scratch(), out, o)
}

// early is the part of Early that does not wait for the end. No error of it is a verdict on the video.
func (r Runner) early(ctx context.Context, in *spool.File, out *os.File, o Options) (Result, error) {
	r = r.withDefaults()
	if r.Cores.full() { // then others use the time, and a pipe costs some
		return Result{}, errLate
	}
	video, err := r.front(in, in.Size())
	if err != nil {
		return Result{}, err
	}
	// With less to come there is little to gain, and what had to be read until now may have been a table at the end.
	const worth = 8
	if in.Left() < in.Size()/worth || !sequential[video.Format] || video.Layer3 && copied[o.profile()] > 0 {
		return Result{}, errLate
	}
	ctx, kill := context.WithCancelCause(ctx)
	defer kill(nil)
	video.coming, video.odd = in, func() { kill(errLate) }
	var watch sync.WaitGroup
	defer watch.Wait()
	watch.Go(func() {
		if err := in.Wait(); err != nil {
			kill(err)
		}
	})
	return r.encode(ctx, in.Scratch(), out, video, o)
}

// front examines a video that is still to come, and waits for no more of it than ffmpeg does.
func (r Runner) front(in io.ReaderAt, size int64) (video, error) {
	facts, more, err := container.ReadFront(in, size)
	v, err := r.declared(size, facts, err)
	if more {
		v.whole = sync.OnceValues(func() (container.Facts, error) {
			facts, err := container.Read(in, size)
			v, err := r.declared(size, facts, err)
			return v.Facts, err
		})
	}
	return v, err
}

// all returns what all of the video declares. It may wait for it.
func (v video) all() (container.Facts, error) {
	if v.whole == nil {
		return v.Facts, nil
	}
	return v.whole()
}

// sofar returns what is known of that by now.
func (v video) sofar() container.Facts {
	if v.whole != nil && v.coming.Left() < 0 {
		if facts, err := v.whole(); err == nil {
			return facts
		}
	}
	return v.Facts
}

// length is how long the sound is, as far as is known by now; 0 is unknown.
func (v video) length() time.Duration { return v.sofar().Sound }

// source is what the process reads: a pipe while the video is still to come.
func (p *process) source() (in *os.File, release func(), err error) {
	coming := p.video.coming
	if coming == nil || coming.Left() < 0 {
		return p.in, func() {}, nil
	}
	in, err = coming.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("ffmpeg: %w", err)
	}
	if p.runner.piped != nil {
		p.runner.piped()
	}
	return in, func() { in.Close() }, nil
}

// odd returns errLate if not all was certainly well with a video that was still to come.
func (o outcome) odd() error {
	if o.video.coming != nil && (o.cut() || o.findings.any()) {
		return fmt.Errorf("%w: %s", errLate, o.findings.complaint)
	}
	return nil
}
