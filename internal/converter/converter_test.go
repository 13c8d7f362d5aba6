package converter_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"mp3converter/internal/job"
)

func TestAnUploadBecomesAnMP3(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		j := w.uploaded(t, "vid_1.mp4")
		var title string
		var profile job.Profile
		w.encode = func(_ context.Context, _, _ *os.File, name string, p job.Profile, _ func(int)) (time.Duration, error) {
			title, profile = name, p
			return 0, nil
		}
		w.handle(t, j)
		got := w.wantConverted(t, j.ID)
		if title != "vid_1.mp4" || profile != job.Standard {
			t.Errorf("encoded with the title %q as %s", title, profile)
		}
		if got.Attempt != 1 || got.Duration != 2*time.Second || got.MP3Bytes != int64(len("mp3 of video "+j.ID)) {
			t.Errorf("attempt %d, %v, %d bytes", got.Attempt, got.Duration, got.MP3Bytes)
		}
		f, content, err := w.mp3s.Open(t.Context(), got.MP3)
		if err != nil {
			t.Fatal(err)
		}
		content.Close()
		want := job.File{
			ID: got.MP3, Job: j.ID, Owner: owner, Name: "vid_1.mp3", Type: "audio/mpeg",
			Bytes: got.MP3Bytes, SHA256: f.SHA256, Stored: f.Stored,
		}
		if diff := cmp.Diff(want, f); diff != "" {
			t.Error(diff)
		}
		w.wantRung(t, j.ID, 1)
	})
}

// What is hired is there from the claim on until the work is done, and no longer, whatever becomes of the job.
func TestHiredIsReleased(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		hired, released := 0, 0
		w.cfg.Hire = func() func() {
			hired++
			return sync.OnceFunc(func() { released++ })
		}
		ring := w.cfg.Ring
		w.cfg.Ring = func(ctx context.Context, j job.Job) error {
			if released != hired {
				t.Errorf("rung for the mail: hired %d times, released %d", hired, released)
			}
			return ring(ctx, j)
		}
		w.Service = w.worker(w.ledger)
		j := w.uploaded(t, "a.mp4")
		w.encode = func(context.Context, *os.File, *os.File, string, job.Profile, func(int)) (time.Duration, error) {
			if hired != 1 || released != 0 {
				t.Errorf("at work: hired %d times, released %d", hired, released)
			}
			return 0, nil
		}
		w.handle(t, j)
		w.handle(t, j) // rung once more
		if hired != 2 || released != 2 {
			t.Errorf("in the end: hired %d times, released %d", hired, released)
		}
	})
}

func TestTheMP3IsNamedAsTheVideo(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		for video, want := range map[string]string{
			"a.mp4":                             "a.mp3",
			"a.b.c.mkv":                         "a.b.c.mp3",
			"no ending":                         "no ending.mp3",
			".mp4":                              ".mp4.mp3",
			"視頻 🎬.webm":                         "視頻 🎬.mp3",
			strings.Repeat("n", 255):            strings.Repeat("n", 251) + ".mp3",
			strings.Repeat("視", 83) + "abc.avi": strings.Repeat("視", 83) + "ab.mp3",
			strings.Repeat("x", 100) + "視視.flv": strings.Repeat("x", 100) + "視視.mp3",
			strings.Repeat("x", 250) + "視":      strings.Repeat("x", 250) + ".mp3",
		} {
			j := w.uploaded(t, video)
			f, content, err := w.mp3s.Open(t.Context(), w.handle(t, j).MP3)
			if err != nil {
				t.Fatal(err)
			}
			content.Close()
			if f.Name != want {
				t.Errorf("the MP3 of %q is named %q, want %q", video, f.Name, want)
			}
		}
	})
}

func TestManyRingsConvertOnce(t *testing.T) {
	w := newWorld(t)
	j := w.uploaded(t, "a.mp4")
	release := make(chan struct{})
	w.encode = func(context.Context, *os.File, *os.File, string, job.Profile, func(int)) (time.Duration, error) {
		<-release
		return 0, nil
	}
	var group errgroup.Group
	steppedAside := make(chan struct{}, 8)
	for i := range 8 {
		worker := w.worker(w.ledger)
		group.Go(func() error {
			defer func() { steppedAside <- struct{}{} }()
			if err := worker.Handle(t.Context(), j.Message()); err != nil {
				return fmt.Errorf("worker %d: %w", i, err)
			}
			return nil
		})
	}
	for range 7 {
		<-steppedAside
	}
	close(release)
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	w.handle(t, j)
	w.wantConverted(t, j.ID)
	w.wantEncoded(t, 1)
	w.wantRung(t, j.ID, 1)
}

func TestManyJobsConvertAtOnce(t *testing.T) {
	w := newWorld(t)
	var group errgroup.Group
	var jobs []job.Job
	for range 10 {
		j := w.uploaded(t, "a.mp4")
		jobs = append(jobs, j)
		group.Go(func() error { return w.Handle(t.Context(), j.Message()) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		w.wantConverted(t, j.ID)
	}
}

func TestWhatNeedsNoConverterIsSettled(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		now := time.Now()
		uploading := job.New(now, w.rules, job.NewID(now), owner)
		if err := w.ledger.Insert(t.Context(), uploading); err != nil {
			t.Fatal(err)
		}
		deleted, later, busy, done := w.uploaded(t, "a"), w.uploaded(t, "a"), w.uploaded(t, "a"), w.uploaded(t, "a")
		w.change(t, deleted.ID, func(j *job.Job) error { return j.Delete(now) })
		w.change(t, later.ID, func(j *job.Job) error { j.NotBefore = now.Add(time.Second); return nil })
		w.change(t, busy.ID, func(j *job.Job) error { return j.Claim(now, w.rules, "two", job.NewID(now)) })
		w.handle(t, done)
		w.wantEncoded(t, 1)
		for name, m := range map[string]job.Message{
			"an upload that is running": uploading.Message(), "a deleted job": deleted.Message(),
			"a job that is not due": later.Message(), "a job with a live lease": busy.Message(),
			"a converted job": done.Message(), "a job that is gone": {Video: job.NewID(now), Username: owner},
			"a foreign message for a deleted job": {Video: deleted.ID, Username: owner, Foreign: true},
		} {
			if err := w.Handle(t.Context(), m); err != nil {
				t.Errorf("%s: Handle = %v, want nil", name, err)
			}
		}
		w.wantEncoded(t, 1)
	})
}

func TestTheOriginalsMessageIsAdopted(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		m, err := job.Decode([]byte(`{"video_fid": "` + job.NewID(time.Now()) +
			`", "mp3_fid": "000000000000000000000000", "username": "` + owner + `", "colour": "red"}`))
		if err != nil {
			t.Fatal(err)
		}
		m.Foreign = true
		w.putVideo(t, job.File{ID: m.Video}) // as the original stores it: without a description
		for range 2 {
			if err := w.Handle(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		j := w.wantConverted(t, m.Video)
		if j.Owner != owner || j.Name != "video" || j.MP3 == m.MP3 {
			t.Errorf("the job is %+v", j)
		}
		if got := string(j.Message().Extra["colour"]); got != `"red"` {
			t.Errorf("the message's unknown field is %s", got)
		}
		w.wantEncoded(t, 1)
		w.wantRung(t, m.Video, 1)
	})
}

func TestForeignMessagesThatNoJobCanComeOf(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		anns := w.putVideo(t, job.File{ID: job.NewID(time.Now()), Owner: "ann@example.com"})
		for video, want := range map[string]string{job.NewID(time.Now()): "unknown video", anns.ID: "somebody else"} {
			err := w.Handle(t.Context(), job.Message{Video: video, Username: owner, Foreign: true})
			if !errors.Is(err, job.ErrPoison) || !strings.Contains(err.Error(), want) {
				t.Errorf("Handle = %v, want poison that says %q", err, want)
			}
		}
		w.videos.openErr = errAway
		err := w.Handle(t.Context(), job.Message{Video: anns.ID, Username: "ann@example.com", Foreign: true})
		if !errors.Is(err, errAway) || errors.Is(err, job.ErrPoison) {
			t.Errorf("Handle = %v with the store away, want it to come again", err)
		}
		w.wantEncoded(t, 0)
	})
}

func TestTheLeaseIsRenewedAndProgressNotedWhileAConversionRuns(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		j := w.uploaded(t, "a.mp4")
		w.encode = func(_ context.Context, _, _ *os.File, _ string, _ job.Profile, progress func(int)) (time.Duration, error) {
			for percent := range 100 {
				progress(percent)
				time.Sleep(10 * time.Second)
				got := w.get(t, j.ID)
				if !got.LeaseUntil.After(time.Now().Add(w.rules.Lease / 3)) {
					t.Errorf("at %d %% the lease has %v left", percent, time.Until(got.LeaseUntil))
				}
				if got.Percent != percent {
					t.Errorf("the ledger says %d %%, the encoder %d", got.Percent, percent)
				}
			}
			before := w.get(t, j.ID).Version
			time.Sleep(10 * w.rules.Lease) // silent, as an encoder may be
			if writes := w.get(t, j.ID).Version - before; writes > 40 {
				t.Errorf("%d writes to the ledger in 10 leases without news", writes)
			}
			if err := w.worker(w.ledger).Handle(t.Context(), j.Message()); err != nil {
				t.Errorf("Handle by somebody else: %v", err)
			}
			return 0, nil
		}
		w.handle(t, j)
		if got := w.wantConverted(t, j.ID); got.Attempt != 1 {
			t.Errorf("it took %d attempts", got.Attempt)
		}
		w.wantEncoded(t, 1)
	})
}

func TestFastProgressIsNotedOnceASecond(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		j := w.uploaded(t, "a.mp4")
		w.encode = func(_ context.Context, _, _ *os.File, _ string, _ job.Profile, progress func(int)) (time.Duration, error) {
			before := w.get(t, j.ID).Version
			for percent := range 100 {
				progress(percent)
				time.Sleep(50 * time.Millisecond)
			}
			if writes := w.get(t, j.ID).Version - before; writes < 4 || writes > 6 {
				t.Errorf("%d writes to the ledger in 5 s", writes)
			}
			return 0, nil
		}
		w.handle(t, j)
		w.wantConverted(t, j.ID)
	})
}
