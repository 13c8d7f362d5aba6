package converter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
	"unicode/utf8"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
	"mp3converter/internal/partial"
	"mp3converter/internal/spool"
	"mp3converter/internal/stage"
)

// attempt is one try at one job.
type attempt struct {
	*Service
	job     job.Job // as claimed
	mp3     string  // the id that its MP3 is to have
	touched bool    // something may lie under that id
	start   time.Time
}

// made is what an attempt comes to that ends well: an MP3 that is stored but nobody's yet.
type made struct {
	mp3      job.File
	duration time.Duration
}

// errDamaged is kept apart from the store's own errors: waiting does not mend it, but a second look may.
var errDamaged = errors.New("the stored video is not what was uploaded")

// run does the work, up to the point where only the commit is missing. It ends early with job.ErrLost in the chain when
// the lease is lost. The lease is no longer renewed when it returns.
func (a *attempt) run(ctx context.Context) (made, error) {
	ctx, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	lease := a.keep(ctx, lose)
	m, err := a.work(ctx, lease.progress)
	lease.stop()
	if err != nil && errors.Is(context.Cause(ctx), job.ErrLost) {
		err = fmt.Errorf("%w (%w)", job.ErrLost, err)
	}
	return m, err
}

func (a *attempt) work(ctx context.Context, progress func(int)) (made, error) {
	if err := failpoint.At(failpoint.ConversionClaimed); err != nil {
		return made{}, err
	}
	ctx, stop := context.WithCancel(ctx)
	in, err := a.spool(ctx)
	if err != nil {
		stop()
		return made{}, err
	}
	defer in.Close()
	defer stop() // what Close waits for
	out, err := a.cfg.Temp()
	if err != nil {
		return made{}, away(fmt.Errorf("make a scratch file: %w", err))
	}
	defer out.Close()
	duration, err := a.convert(ctx, in, out, progress)
	if failed := in.Wait(); failed != nil { // whatever was made of it
		return made{}, failed
	}
	if err != nil {
		return made{}, fmt.Errorf("convert: %w", err)
	}
	if err := failpoint.At(failpoint.VideoEncoded); err != nil {
		return made{}, err
	}
	mp3, err := a.store(ctx, out)
	return made{mp3, duration}, err
}

// convert makes the MP3, as soon as it may begin.
func (a *attempt) convert(ctx context.Context, in *spool.File, out *os.File, progress func(int)) (_ time.Duration, err error) {
	early := in.Left() >= 0
	if !early {
		if err := in.Wait(); err != nil {
			return 0, err
		}
	}
	ctx, end := a.stages.Begin(ctx, stage.Encode)
	defer func() { end(err) }()
	if early {
		return a.cfg.Early(ctx, in, out, a.job.Name, a.job.Profile, progress)
	}
	return a.cfg.Convert(ctx, in.Scratch(), out, a.job.Name, a.job.Profile, progress)
}

// early is from how many bytes on a video is worth beginning before it is there: a smaller one is in no time.
const early = 4 << 20

// spool copies the video, or the part of it that is needed, to a scratch file: an encoder seeks, and a store that goes away
// in the middle must not look like a broken video. A large video that is copied whole is still to come when spool returns.
func (a *attempt) spool(ctx context.Context) (*spool.File, error) {
	ctx, end := a.stages.Begin(ctx, stage.Fetch)
	scratch, video, n, err := a.open(ctx)
	if err != nil {
		end(err)
		return nil, err
	}
	in := spool.Fill(scratch, a.job.VideoBytes, func(to io.Writer) error {
		defer video.Close()
		err := a.rest(n, to, video)
		end(err)
		return err
	})
	if n == 0 && a.cfg.Early != nil && video.file.Bytes == a.job.VideoBytes && video.file.Bytes >= early {
		return in, nil
	}
	if err := in.Wait(); err != nil {
		in.Close()
		return nil, err
	}
	return in, nil
}

// stored is a video in the store.
type stored struct {
	file job.File
	io.ReadSeekCloser
}

// open opens the video, and copies the part of it that is needed, n bytes, to a scratch file; 0 if it is to be copied whole.
func (a *attempt) open(ctx context.Context) (scratch *os.File, video stored, n int64, err error) {
	video.file, video.ReadSeekCloser, err = a.cfg.Videos.Open(ctx, a.job.ID)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, video, 0, &job.Failure{Reason: job.ReasonNoVideo}
	case err != nil:
		return nil, video, 0, away(fmt.Errorf("open video: %w", err))
	}
	scratch, err = a.cfg.Temp()
	if err != nil {
		video.Close()
		return nil, video, 0, away(fmt.Errorf("make a scratch file: %w", err))
	}
	n, err = a.part(scratch, video.file, video.ReadSeekCloser)
	if err != nil {
		video.Close()
		scratch.Close()
	}
	return scratch, video, n, err
}

// part copies what Needed names of the video, with holes in place of the rest, if the store can tell that it is what was
// uploaded. It returns 0 if the video is to be copied whole.
func (a *attempt) part(scratch *os.File, f job.File, video io.Reader) (int64, error) {
	store, ok := video.(interface {
		Copy(to partial.Scratch, choose func(io.ReaderAt) []job.Span) (int64, error)
	})
	if !ok || a.cfg.Needed == nil || f.Bytes != a.job.VideoBytes || f.SHA256 != a.job.VideoSHA256 {
		return 0, nil
	}
	if err := scratch.Truncate(f.Bytes); err != nil {
		return 0, away(fmt.Errorf("size scratch: %w", err))
	}
	n, err := store.Copy(scratch, func(r io.ReaderAt) []job.Span { return a.cfg.Needed(r, f.Bytes) })
	if err != nil {
		return n, away(fmt.Errorf("copy part of video to scratch: %w", err))
	}
	return n, nil
}

// spoolBuffer is a chunk of GridFS: fewer and larger writes cost a third less than those of io.Copy.
const spoolBuffer = 256 << 10

// rest copies the video if no part of it has been, which is n bytes.
func (a *attempt) rest(n int64, to io.Writer, video io.Reader) (err error) {
	if n == 0 {
		n, err = a.fill(to, video)
	}
	if err == nil {
		a.metrics.fetched.Add(float64(n))
	}
	return err
}

// fill copies the video and checks that it is the one that was uploaded.
func (a *attempt) fill(scratch io.Writer, video io.Reader) (int64, error) {
	hash := sha256.New()
	both := struct{ io.Writer }{io.MultiWriter(scratch, hash)} // which hides io.ReaderFrom, as the next line io.WriterTo:
	n, err := io.CopyBuffer(both, struct{ io.Reader }{video}, make([]byte, spoolBuffer))
	if err != nil {
		return n, away(fmt.Errorf("copy video to scratch: %w", err))
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	if n != a.job.VideoBytes || a.job.VideoSHA256 != "" && sum != a.job.VideoSHA256 {
		return n, fmt.Errorf("copy video to scratch: %w: %d bytes with SHA-256 %s, uploaded were %d with %q",
			errDamaged, n, sum, a.job.VideoBytes, a.job.VideoSHA256)
	}
	return n, nil
}

// storeWaits are the waits between tries to store an MP3: it is dear, the lease is being renewed, and a store that
// restarts is back within them.
var storeWaits = [...]time.Duration{200 * time.Millisecond, time.Second, 5 * time.Second, 15 * time.Second}

// store puts the MP3 under the attempt's id.
func (a *attempt) store(ctx context.Context, out *os.File) (_ job.File, err error) {
	ctx, end := a.stages.Begin(ctx, stage.Store)
	defer func() { end(err) }()
	info, err := out.Stat()
	if err != nil {
		return job.File{}, away(fmt.Errorf("measure mp3: %w", err))
	}
	f := job.File{ID: a.mp3, Job: a.job.ID, Owner: a.job.Owner, Name: mp3Name(a.job.Name), Type: "audio/mpeg"}
	a.touched = true
	for try := 0; ; try++ {
		stored, err := a.cfg.MP3s.Put(ctx, f, io.NewSectionReader(out, 0, info.Size()))
		if err == nil {
			return stored, nil
		}
		err = away(fmt.Errorf("store mp3 %s: %w", a.mp3, err))
		if try == len(storeWaits) {
			return job.File{}, err
		}
		a.cfg.Log.WarnContext(ctx, "conversion: mp3 not stored yet, kept and tried again", "job", a.job.ID, "mp3", a.mp3, "err", err)
		select {
		case <-time.After(storeWaits[try]):
		case <-ctx.Done():
			return job.File{}, err
		}
		_ = a.cfg.MP3s.Delete(ctx, a.mp3) // a Put whose answer was lost; if this fails, the next Put says so
	}
}

// mp3Name is a video's name with another ending, at most 255 bytes.
func mp3Name(video string) string {
	const ending, longest = ".mp3", 255
	name := video[:len(video)-len(path.Ext(video))]
	if name == "" {
		name = video
	}
	for len(name) > longest-len(ending) {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	return name + ending
}

// awayError marks an error as not the video's fault, without a word in its text.
type awayError struct{ error }

func (e awayError) Unwrap() []error { return []error{e.error, job.ErrTransient} }

func away(err error) error { return awayError{err} }
