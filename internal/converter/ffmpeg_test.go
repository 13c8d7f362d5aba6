package converter_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mp3converter/internal/converter"
	"mp3converter/internal/ffmpeg"
	"mp3converter/internal/ffmpeg/container"
	"mp3converter/internal/job"
	"mp3converter/internal/testmedia"
)

// newRealWorld has ffmpeg as its encoder.
func newRealWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	runner := ffmpeg.Runner{Scratch: t.TempDir()}
	w.cfg.Temp = runner.Temp
	w.cfg.Convert = func(ctx context.Context, in, out *os.File, title string, p job.Profile, progress func(int)) (time.Duration, error) {
		made, err := runner.Convert(ctx, in, out, ffmpeg.Options{Title: title, Profile: p, Progress: progress})
		return made.Duration, err
	}
	w.Service = w.worker(w.ledger)
	return w
}

// upload is a job for the file at path.
func (w *world) upload(t *testing.T, path string) job.Job {
	t.Helper()
	video, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer video.Close()
	now := time.Now()
	j := job.New(now, w.rules, job.NewID(now), owner)
	f, err := w.videos.Put(t.Context(), job.File{ID: j.ID, Owner: owner, Name: filepath.Base(path)}, video)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Arrived(now, w.rules, f); err != nil {
		t.Fatal(err)
	}
	if err := w.ledger.Insert(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	return j
}

func TestARealVideoBecomesAnMP3OfItsLength(t *testing.T) {
	w := newRealWorld(t)
	j := w.handle(t, w.upload(t, testmedia.Clip(t, testmedia.Spec{Seconds: 3})))
	if j.State != job.Converted {
		t.Fatalf("the job is %s for %q: %s", j.State, j.Reason, j.Detail)
	}
	_, content, err := w.mp3s.Open(t.Context(), j.MP3)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	mp3, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	const precision = 50 * time.Millisecond
	sound := testmedia.Duration(t, testmedia.File(t, ".mp3", mp3))
	if off := (sound - 3*time.Second).Abs(); off > precision {
		t.Errorf("the MP3 sounds for %v, want 3s", sound)
	}
	if off := (j.Duration - sound).Abs(); off > precision {
		t.Errorf("the ledger says %v, the MP3 sounds for %v", j.Duration, sound)
	}
}

func TestARealVideoWithoutSoundFailsTheJob(t *testing.T) {
	w := newRealWorld(t)
	j := w.upload(t, testmedia.Clip(t, testmedia.Spec{Audio: testmedia.None}))
	w.handle(t, j)
	w.wantFailed(t, j.ID, job.ReasonNoAudio)
}

func TestAPhonesVideoIsConvertedFromItsSoundAlone(t *testing.T) {
	w := newRealWorld(t)
	phone := testmedia.Phone(t)
	info, err := os.Stat(phone)
	if err != nil {
		t.Fatal(err)
	}
	convert := func(needed func(io.ReaderAt, int64) []job.Span) (mp3 []byte, share float64) {
		t.Helper()
		metrics := prometheus.NewRegistry()
		cfg := w.cfg
		cfg.Needed, cfg.Metrics = needed, metrics
		j := w.upload(t, phone)
		if err := converter.New(cfg).Handle(t.Context(), j.Message()); err != nil {
			t.Fatal(err)
		}
		if j = w.get(t, j.ID); j.State != job.Converted {
			t.Fatalf("the job is %s for %q: %s", j.State, j.Reason, j.Detail)
		}
		_, content, err := w.mp3s.Open(t.Context(), j.MP3)
		if err != nil {
			t.Fatal(err)
		}
		defer content.Close()
		if mp3, err = io.ReadAll(content); err != nil {
			t.Fatal(err)
		}
		return mp3, value(t, metrics, "mp3_conversion_fetched_bytes_total") / float64(info.Size())
	}
	whole, all := convert(nil)
	part, share := convert(container.Sound)
	if all != 1 || share > .15 || share < .05 {
		t.Errorf("read %.3f and %.3f of the video, want all and at most 0.15", all, share)
	}
	if !bytes.Equal(whole, part) {
		t.Error("the MP3s differ")
	}
}

func TestAPartThatIsNotWhatWasUploaded(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, w *world, id string){
		"changed where it lies": func(t *testing.T, w *world, id string) {
			f, err := os.OpenFile(filepath.Join(w.dir, "videos", id, "data"), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte("changed"), 40); err != nil {
				t.Fatal(err)
			}
		},
		"whole, but another's": func(t *testing.T, w *world, id string) {
			w.change(t, id, func(j *job.Job) error { j.VideoSHA256 = strings.Repeat("0", 64); return nil })
		},
		"whole, but shorter": func(t *testing.T, w *world, id string) {
			w.change(t, id, func(j *job.Job) error { j.VideoBytes++; return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newRealWorld(t)
			w.cfg.Needed = container.Sound
			w.Service = w.worker(w.ledger)
			j := w.upload(t, testmedia.Phone(t))
			spoil(t, w, j.ID)
			if j = w.handle(t, j); j.State != job.Queued || j.Attempts() != 1 || j.Detail != "the stored video is not what was uploaded" {
				t.Errorf("the job is %s after %d attempts: %s", j.State, j.Attempts(), j.Detail)
			}
		})
	}
}
