package converter_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"mp3converter/internal/converter"
	"mp3converter/internal/job"
	"mp3converter/internal/spool"
)

// large is a video that is worth beginning early.
var large = bytes.Repeat([]byte("a large video. "), 400_000)

// comes has the large video of a job come to a converter that begins early: half of it before it begins, and next says how
// reading ends then.
func comes(t *testing.T, w *world, next error, begin converter.Early) job.Job {
	t.Helper()
	begun := make(chan struct{})
	w.videos.wrap = func(r io.ReadSeekCloser) io.ReadSeekCloser { return &held{r, int64(len(large) / 2), begun, next} }
	w.cfg.Early = func(ctx context.Context, in *spool.File, out *os.File, title string, p job.Profile, progress func(int)) (time.Duration, error) {
		w.mu.Lock()
		w.encoded++
		w.mu.Unlock()
		close(begun)
		return begin(ctx, in, out, title, p, progress)
	}
	w.Service = w.worker(w.ledger)
	return w.uploadedAs(t, "a.mkv", large)
}

// held gives so many bytes, and no more before the conversion has begun.
type held struct {
	io.ReadSeekCloser
	first int64
	begun <-chan struct{}
	err   error
}

func (h *held) Read(p []byte) (int, error) {
	if h.first == 0 {
		select {
		case <-h.begun:
		case <-time.After(time.Hour):
			return 0, errors.New("the conversion does not begin")
		}
		if h.err != nil {
			return 0, h.err
		}
		return h.ReadSeekCloser.Read(p)
	}
	n, err := h.ReadSeekCloser.Read(p[:min(int64(len(p)), h.first)])
	h.first -= int64(n)
	return n, err
}

// content makes an MP3 of what comes, and does not care how that ends.
func content(_ context.Context, in *spool.File, out *os.File, _ string, _ job.Profile, _ func(int)) (time.Duration, error) {
	_, _ = io.WriteString(out, "mp3 of ")
	_, _ = io.Copy(out, io.NewSectionReader(in, 0, in.Size()))
	return 2 * time.Second, nil
}

func TestALargeVideoIsBegunBeforeItIsThere(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		j := comes(t, w, nil, content)
		j = w.handle(t, j)
		if j.State != job.Converted {
			t.Fatalf("the job is %s: %s", j.State, j.Detail)
		}
		_, r, err := w.mp3s.Open(t.Context(), j.MP3)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if mp3, err := io.ReadAll(r); err != nil || !bytes.Equal(mp3, append([]byte("mp3 of "), large...)) {
			t.Errorf("the MP3 has %d bytes, %v", len(mp3), err)
		}
		w.wantEncoded(t, 1)
	})
}

// Nothing that was made of a video counts if that does not come, or is another.
func TestALargeVideoThatDoesNotCome(t *testing.T) {
	blames := func(context.Context, *spool.File, *os.File, string, job.Profile, func(int)) (time.Duration, error) {
		return 0, job.Failing(job.ReasonTruncated, "half of it")
	}
	for name, begin := range map[string]converter.Early{"though the encoder is content": content, "though the encoder blames it": blames} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, w *world) {
				j := comes(t, w, io.ErrUnexpectedEOF, begin)
				w.handle(t, j)
				w.wantQueued(t, j.ID, 0, w.rules.RetryDelay)
				w.wantNoScratch(t)
			})
			inTime(t, func(t *testing.T, w *world) {
				j := comes(t, w, nil, begin)
				w.change(t, j.ID, func(j *job.Job) error { j.VideoSHA256 = "another"; return nil })
				if j = w.handle(t, j); j.Detail != "the stored video is not what was uploaded" {
					t.Errorf("the owner reads %q", j.Detail)
				}
				w.wantQueued(t, j.ID, 1, w.rules.RetryDelay)
				w.wantNoScratch(t)
			})
		})
	}
}

func TestAStopWhileALargeVideoComes(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		j := comes(t, w, context.Canceled, func(ctx context.Context, _ *spool.File, _ *os.File, _ string, _ job.Profile, _ func(int)) (time.Duration, error) {
			stop()
			<-ctx.Done()
			return 0, errors.New("signal: killed")
		})
		if err := w.Handle(ctx, j.Message()); !errors.Is(err, context.Canceled) {
			t.Errorf("Handle = %v, want context.Canceled in the chain", err)
		}
		w.wantQueued(t, j.ID, 0, 0)
		w.wantNoScratch(t)
	})
}

// A conversion that cannot begin does not wait for the rest of the video.
func TestAVideoThatIsNotWantedAnyMoreIsNotWaitedFor(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		j := comes(t, w, nil, content)
		temp, calls := w.cfg.Temp, 0
		w.cfg.Temp = func() (*os.File, error) {
			if calls++; calls == 2 { // the MP3's
				return nil, errAway
			}
			return temp()
		}
		w.videos.wrap = func(r io.ReadSeekCloser) io.ReadSeekCloser { return &endless{r, w.videos.opened} }
		w.Service = w.worker(w.ledger)
		began := time.Now()
		w.handle(t, j)
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v", took)
		}
		w.wantQueued(t, j.ID, 0, w.rules.RetryDelay)
		w.wantNoScratch(t)
	})
}

// endless gives nothing until it is not wanted any more.
type endless struct {
	io.ReadSeekCloser
	ctx context.Context //nolint:containedctx // of Open, which rules the reading
}

func (e *endless) Read([]byte) (int, error) {
	select {
	case <-e.ctx.Done():
		return 0, e.ctx.Err()
	case <-time.After(time.Hour):
		return 0, io.EOF
	}
}
