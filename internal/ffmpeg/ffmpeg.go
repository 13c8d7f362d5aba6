// Package ffmpeg makes an MP3 of a video with somebody else's binary, on input that may be hostile. A conversion is one process
// or, where cores are idle, several. Each has two open files and nothing else of ours: no environment, no other descriptors,
// a process group that is killed as a whole, limits on time, memory and output. The container is sniffed here and named to
// ffmpeg, which is forbidden any other, any codec that is not an ordinary audio decoder, and any protocol but file.
//
// ffmpeg's exit status is not evidence: it is 0 for half a video and for a full disk. A conversion counts only if the
// MP3 in the file holds at least 99.5 % of the sound that the video's own headers declare (package container reads
// them), or, where they declare none, of what was read, with nothing known to be missing. So a video cut in the middle
// is refused, never silently delivered short. It cannot be told from a short one if it declares no length and was cut
// where the container may end: MPEG-TS between two packets, fragmented MP4 without mehd and sidx between two fragments,
// live Matroska between two elements, Ogg between two pages, MP3 without a Xing header and ADTS anywhere. Gaps in a track,
// which recorders of calls leave for silence, are closed and are no damage as long as nothing else is wrong.
//
// Where the sound is an MP3 already its frames are copied, if the profile lets them be, and if nothing at all is odd about
// them: otherwise they are encoded as any other, so that copying changes no verdict.
//
// Errors come in the three kinds of package job. Permanent, a *job.Failure, is what the video is to blame for. In a chain
// with job.ErrTransient are a missing binary and a full scratch folder. Anything else is unknown: ffmpeg was killed,
// crashed, hung or said something new; trying again may help.
//
// What all this cannot promise, package sandbox does: a program that a file has taken over can reach that file, the MP3, and
// nothing else.
package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"mp3converter/internal/ffmpeg/container"
	"mp3converter/internal/job"
	"mp3converter/internal/sandbox"
	"mp3converter/internal/spool"
)

// Runner runs ffmpeg. The zero value works, with the limits stated at each field.
type Runner struct {
	Path        string                           // of the binary; default "ffmpeg", looked for in $PATH
	Scratch     string                           // folder for temporary files; default os.TempDir
	MaxDuration time.Duration                    // of sound; default 12 h
	MaxBytes    int64                            // an MP3 must be smaller; default 4 GiB
	Sandbox     sandbox.Layers                   // default what this kernel has
	Spares      *sandbox.Spares                  // nil has each ffmpeg wait for a process
	Cores       *Cores                           // shared by all conversions of the machine; nil has each use one
	Spent       func(user, system time.Duration) // told of the processor's time that each process has used, at its end; nil tells nobody
	MaxMemory   int64                            // of ffmpeg's address space in bytes; default 1 GiB. Debian's needs 250 MB to load

	// A conversion may run for Wall, plus a second for every Pace seconds of sound made so far and every 16 MiB of
	// video. Default 30 s and 5: a tenth of what one core of 2020 does.
	Wall time.Duration
	Pace int
	// Stall is how long ffmpeg may be silent, plus a second for every 16 MiB; default 20 s. It reports twice a second.
	Stall time.Duration

	piped func() // nil, or called when ffmpeg is given a pipe
}

// Options say what to make of one video.
type Options struct {
	Title    string // the MP3's title tag; any characters
	Profile  job.Profile
	Progress func(percent int) // nil, or called with a growing number below 100 while Convert runs; must not block
}

// profile is the one to follow: of those unknown, and of none, the default.
func (o Options) profile() job.Profile {
	if _, ok := encodings[o.Profile]; ok {
		return o.Profile
	}
	return job.Standard
}

// Result describes the MP3.
type Result struct {
	Duration time.Duration // of its sound
	Bytes    int64
	Copied   bool // its frames are those of the video

	Began, Ended time.Time // when ffmpeg itself did, out of the sandbox's hands
}

// readRate is the number of bytes of video that are granted a second of reading.
const readRate = 16 << 20

func (r Runner) withDefaults() Runner {
	setDefault(&r.Path, "ffmpeg")
	setDefault(&r.Scratch, os.TempDir())
	setDefault(&r.MaxDuration, 12*time.Hour)
	setDefault(&r.MaxBytes, 4<<30)
	setDefault(&r.Sandbox, sandbox.Available())
	setDefault(&r.MaxMemory, 1<<30)
	setDefault(&r.Wall, 30*time.Second)
	setDefault(&r.Pace, 5)
	setDefault(&r.Stall, 20*time.Second)
	return r
}

func setDefault[T comparable](to *T, value T) {
	var zero T
	if *to == zero {
		*to = value
	}
}

// Convert reads the whole video from in and writes its MP3 to out, which must be seekable files; their offsets stay where
// they are. After an error out holds anything. In place of what container.Sound leaves out, in may have holes.
func (r Runner) Convert(ctx context.Context, in, out *os.File, o Options) (Result, error) {
	r = r.withDefaults()
	video, err := r.examine(in)
	if err != nil {
		return Result{}, err
	}
	if video.Layer3 && copied[o.profile()] > 0 {
		if result, err := r.copy(ctx, in, out, video, o); !errors.Is(err, errOdd) {
			return result, err
		}
	}
	return r.encode(ctx, in, out, video, o)
}

// encode is Convert where nothing can be copied.
func (r Runner) encode(ctx context.Context, in, out *os.File, video video, o Options) (Result, error) {
	o.Progress = growing(o.Progress)
	c := conversion{r, in, out, video, o, r.Cores.enter()}
	defer c.seat.leave()
	if c.maySplit() {
		result, err := c.split(ctx)
		if !errors.Is(err, errSerial) {
			return result, err
		}
		c.seat.alone()
		c.seat.say("serial")
	}
	return c.serial(ctx)
}

// conversion is one call of encode.
type conversion struct {
	Runner

	in, out *os.File
	video   video
	options Options
	seat    *seat
}

// serial has one process do it all.
func (c conversion) serial(ctx context.Context) (Result, error) {
	p := c.process(c.args(c.video.Format, c.options))
	p.out, p.most = c.out, c.limit(c.options.profile())+beyond
	p.progress = newProgress(c.video.length, c.options.Progress)
	if err := p.run(ctx); err != nil {
		return Result{}, err
	}
	result, err := c.result(p, c.limit(c.options.profile()))
	if err != nil || !packs(c.options.profile()) {
		return result, err
	}
	return c.repack(result)
}

// process reads the video.
func (c conversion) process(args []string) *process {
	return &process{runner: c.Runner, in: c.in, video: c.video, args: args, progress: newProgress(nil, nil), findings: c.video.findings()}
}

// result judges the MP3, which must be smaller than the limit, by what the process has seen of the video.
func (c conversion) result(p *process, limit int64) (Result, error) {
	mp3, err := readMP3(c.out)
	if err != nil {
		return Result{}, err
	}
	o := p.outcome(mp3)
	o.limit = limit
	if o.video.Facts, err = c.video.all(); err != nil {
		return Result{}, err
	}
	if err := c.judge(o); err != nil {
		return Result{}, err
	}
	if err := o.odd(); err != nil {
		return Result{}, err
	}
	return p.result(mp3), nil
}

// video is what the file to convert declares.
type video struct {
	container.Facts
	bytes  int64
	coming *spool.File // nil if all of it is there
	odd    func()      // see findings

	whole func() (container.Facts, error) // nil if Facts are all that it declares, else see front
}

// findings are for a log about the video.
func (v video) findings() *findings {
	f := newFindings()
	f.tables, f.odd = v.Format == container.MP4, v.odd
	return f
}

// examine reads the video's headers and refuses what is already certain not to end well.
func (r Runner) examine(in *os.File) (video, error) {
	info, err := in.Stat()
	if err != nil {
		return video{}, fmt.Errorf("examine video: %w", err)
	}
	facts, err := container.Read(in, info.Size())
	return r.declared(info.Size(), facts, err)
}

// declared is the video of so many bytes in which a container was found, or not.
func (r Runner) declared(bytes int64, facts container.Facts, err error) (video, error) {
	switch {
	case errors.Is(err, container.ErrEmpty):
		return video{}, job.Failing(job.ReasonEmpty, "")
	case errors.Is(err, container.ErrUnknown):
		return video{}, job.Failing(job.ReasonUnsupported, "it begins like no known kind of video or sound")
	case err != nil:
		return video{}, fmt.Errorf("examine video: %w", err)
	}
	return video{Facts: facts, bytes: bytes}, r.refuse(facts)
}

// Temp returns an empty file in the scratch folder that has no name: it is gone once it is closed, by whatever end the
// process comes to.
func (r Runner) Temp() (*os.File, error) {
	r = r.withDefaults()
	f, err := unnamed(r.Scratch)
	if err != nil {
		return nil, fmt.Errorf("scratch file: %w: %w", job.ErrTransient, err)
	}
	return f, nil
}
