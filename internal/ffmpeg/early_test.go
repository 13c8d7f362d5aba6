package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mp3converter/internal/ffmpeg/container"
	"mp3converter/internal/job"
	"mp3converter/internal/spool"
	"mp3converter/internal/testmedia"
)

// coming is a video of which a part comes, and then what is done next.
func coming(tb testing.TB, data []byte, part int, next func(rest io.Writer) error) *spool.File {
	tb.Helper()
	scratch, err := unnamed(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	in := spool.Fill(scratch, int64(len(data)), func(to io.Writer) error {
		if _, err := to.Write(data[:part]); err != nil {
			return err
		}
		return next(to)
	})
	tb.Cleanup(func() { in.Close() })
	return in
}

// reach is an io.ReaderAt that notes how far it was read.
type reach struct {
	io.ReaderAt
	end int64
}

func (r *reach) ReadAt(p []byte, off int64) (int, error) {
	r.end = max(r.end, off+int64(len(p)))
	return r.ReaderAt.ReadAt(p, off)
}

// convertEarly converts a file as one that comes: half of it, or what of it must be read before, is there when ffmpeg is given a pipe, and
// the rest comes then. It is false where ffmpeg is given none.
func convertEarly(tb testing.TB, r Runner, path string, o Options) (mp3 string, ok bool, err error) {
	tb.Helper()
	data := read(tb, path)
	head := &reach{ReaderAt: bytes.NewReader(data)}
	video, err := r.withDefaults().front(head, int64(len(data)))
	part := max(int(head.end), len(data)/2)
	if err != nil || !sequential[video.Format] || video.Layer3 && copied[o.profile()] > 0 || len(data)-part < len(data)/8 {
		return "", false, nil
	}
	piped := make(chan struct{})
	r.piped = sync.OnceFunc(func() { close(piped) })
	in := coming(tb, data, part, func(to io.Writer) error {
		await(tb, piped)
		_, err := to.Write(data[part:])
		return err
	})
	out, err := os.CreateTemp(tb.TempDir(), "*.mp3")
	if err != nil {
		tb.Fatal(err)
	}
	defer out.Close()
	_, err = r.Early(tb.Context(), in, out, o)
	return out.Name(), true, err
}

// await waits until ffmpeg is given a pipe.
func await(tb testing.TB, piped <-chan struct{}) {
	tb.Helper()
	select {
	case <-piped:
	case <-time.After(time.Minute):
		tb.Error("ffmpeg is given no pipe")
	}
}

// streamed are containers that say in front what is in them.
var streamed = map[string]testmedia.Spec{
	"MP4, index first":                 {Flags: []string{"-movflags", "+faststart"}},
	"MOV of PCM, index first":          {Ext: "mov", Audio: "pcm_s16le", Flags: []string{"-movflags", "+faststart"}},
	"M4A, index first":                 {Ext: "m4a", Flags: []string{"-movflags", "+faststart"}},
	"MP4, fragmented":                  {Flags: []string{"-movflags", "+frag_keyframe+empty_moov+default_base_moof"}},
	"MP4, partly fragmented":           {Flags: []string{"-movflags", "+frag_keyframe"}},
	"MP4, DASH with segment indexes":   {Flags: []string{"-movflags", "+dash"}},
	"two tracks, index first":          {Pitch: []float64{440, 880}, Flags: []string{"-movflags", "+faststart"}},
	"MKV":                              {Ext: "mkv"},
	"MKV of AC-3":                      {Ext: "mkv", Audio: "ac3", Layout: "5.1"},
	"MKV of FLAC":                      {Ext: "mkv", Audio: "flac"},
	"WebM of Opus":                     {Ext: "webm"},
	"WebM, live":                       {Ext: "webm", Flags: []string{"-live", "1"}},
	"MPEG-TS of AAC":                   {Ext: "ts"},
	"MPEG-TS of AC-3, as on a Blu-ray": {Ext: "m2ts", Audio: "ac3"},
}

// Every other test holds what comes of a pipe against what comes of the file, see convert. Here it is seen that nothing but a pipe
// was read, and that ffmpeg ran when there was only half of the video.
func TestAVideoIsConvertedWhileItComes(t *testing.T) {
	t.Parallel()
	ourDoing(t)
	for name, spec := range streamed {
		spec.Seconds = 6
		for _, profile := range []job.Profile{job.Standard, job.CBR128} {
			t.Run(name+" "+string(profile), func(t *testing.T) {
				t.Parallel()
				clip := testmedia.Clip(t, spec)
				want, _, err := convertFile(t, Runner{}, clip, Options{Profile: profile, Title: t.Name()})
				if err != nil {
					t.Fatal(err)
				}
				data := read(t, clip)
				for _, cores := range []*Cores{nil, forced()} {
					piped := make(chan struct{})
					r := Runner{Cores: cores, piped: sync.OnceFunc(func() { close(piped) })}
					in := coming(t, data, len(data)/2, func(to io.Writer) error {
						await(t, piped)
						if cores == nil { // else the title is known to the first segment only, which needs more
							eventually(t, "ffmpeg runs", func() bool { return len(running(t, t.Name())) > 0 })
						}
						_, err := to.Write(data[len(data)/2:])
						return err
					})
					out, err := os.CreateTemp(t.TempDir(), "*.mp3")
					if err != nil {
						t.Fatal(err)
					}
					defer out.Close()
					if _, err := r.early(t.Context(), in, out, Options{Profile: profile, Title: t.Name()}); err != nil {
						t.Error(err)
					} else if !bytes.Equal(read(t, out.Name()), read(t, want)) {
						t.Error("the MP3 differs from what is made of the file")
					}
				}
			})
		}
	}
}

// running lists the processes that have so in their arguments.
func running(tb testing.TB, arg string) (paths []string) {
	tb.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		tb.Fatal(err)
	}
	for _, path := range lines {
		if line, err := os.ReadFile(path); err == nil && strings.Contains(string(line), arg) {
			paths = append(paths, path)
		}
	}
	return paths
}

// What a video comes to that does not come, or not as it was uploaded, is the fetch's error, whatever ffmpeg made of it.
func TestAVideoThatDoesNotCome(t *testing.T) {
	t.Parallel()
	ourDoing(t)
	away := fmt.Errorf("the store is away: %w", job.ErrTransient)
	other := errors.New("not what was uploaded")
	for name, spec := range map[string]testmedia.Spec{"MKV": {Ext: "mkv"}, "TS": {Ext: "ts"}, "MP4": {Flags: []string{"-movflags", "+faststart"}}} {
		spec.Seconds = 6
		for _, cores := range []func() *Cores{func() *Cores { return nil }, forced} {
			for what, end := range map[string]struct {
				sent float64
				err  error
			}{"half": {0.5, away}, "nearly all": {0.9999, away}, "all of another": {1, other}} {
				t.Run(fmt.Sprint(name, " ", what, " ", cores() != nil), func(t *testing.T) {
					t.Parallel()
					data := read(t, testmedia.Clip(t, spec))
					piped := make(chan struct{})
					r := Runner{Cores: cores(), Scratch: t.TempDir(), piped: sync.OnceFunc(func() { close(piped) })}
					in := coming(t, data, len(data)/2, func(to io.Writer) error {
						await(t, piped)
						_, err := to.Write(data[len(data)/2 : int(float64(len(data))*end.sent)])
						return errors.Join(err, end.err)
					})
					wantNoMP3(t, r, t.Context(), in, end.err)
				})
			}
		}
	}
}

func TestAStopWhileAVideoComes(t *testing.T) {
	t.Parallel()
	data := read(t, testmedia.Clip(t, testmedia.Spec{Ext: "mkv", Seconds: 6}))
	lost := errors.New("the lease is lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	r := Runner{Scratch: t.TempDir(), piped: func() { cancel(lost) }}
	in := coming(t, data, len(data)/2, func(io.Writer) error {
		<-ctx.Done()
		return ctx.Err()
	})
	wantNoMP3(t, r, ctx, in, context.Canceled)
}

// wantNoMP3 converts what comes, which must end with the error and leave nothing.
func wantNoMP3(t *testing.T, r Runner, ctx context.Context, in *spool.File, want error) { //nolint:revive // as called
	t.Helper()
	out, err := unnamed(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	_, err = r.Early(ctx, in, out, Options{Title: t.Name()})
	if failure := (*job.Failure)(nil); !errors.Is(err, want) || errors.As(err, &failure) {
		t.Errorf("error %v, want %v", err, want)
	}
	if left := running(t, t.Name()); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
	empty(t, r.Scratch)
	if files, _ := descriptorsOf(t, r.Scratch); files > 0 {
		t.Errorf("%d scratch files are open", files)
	}
}

// How long fragments are together, and whether there are all of them, only all of the video tells. ffmpeg does not miss the last
// ones, and ends well.
func TestFragmentsAreCountedWhenAllAreThere(t *testing.T) {
	t.Parallel()
	ourDoing(t)
	data := read(t, testmedia.Clip(t, testmedia.Spec{Seconds: 6, Flags: []string{"-movflags", "+dash"}}))
	cut := data[:bytes.LastIndex(data, []byte("moof"))-4] // behind the index of what is missing
	for name, tt := range map[string]struct {
		data []byte
		sure bool
	}{"all of them": {data, true}, "the last is missing": {cut, false}} {
		for _, cores := range []*Cores{nil, forced()} {
			t.Run(fmt.Sprint(name, " ", cores != nil), func(t *testing.T) {
				t.Parallel()
				piped := make(chan struct{})
				r := Runner{Cores: cores, piped: sync.OnceFunc(func() { close(piped) })}
				in := coming(t, tt.data, len(tt.data)/2, func(to io.Writer) error {
					await(t, piped)
					_, err := to.Write(tt.data[len(tt.data)/2:])
					return err
				})
				video, err := r.withDefaults().front(in, in.Size())
				video.coming = in
				if sofar := video.sofar(); err != nil || sofar.Exact || sofar.Cut {
					t.Errorf("before all are there: %+v, %v", sofar, err)
				}
				out := scratch(t, r)
				defer out.Close()
				if _, err := r.early(t.Context(), in, out, Options{}); (err == nil) != tt.sure {
					t.Errorf("what was made of the pipe counts: %v", err)
				}
				if whole := video.sofar(); whole.Exact != tt.sure || whole.Cut == tt.sure {
					t.Errorf("when all is there: %+v", whole)
				}
			})
		}
	}
}

// Until a video is there, nobody knows whether it is ffmpeg that is slow.
func TestASlowStoreIsNotASlowConversion(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	in := coming(t, make([]byte, 2), 1, func(to io.Writer) error {
		<-done
		_, err := to.Write([]byte{0})
		return err
	})
	p := &process{
		runner: Runner{}.withDefaults(), video: video{Facts: container.Facts{}, bytes: 2, coming: in},
		progress: newProgress(nil, nil), findings: newFindings(),
	}
	began, later := time.Now().Add(-24*time.Hour), time.Now().Add(time.Minute)
	s := split{conversion: conversion{Runner: p.runner, video: p.video}, begun: began, decoder: p, made: newProgress(nil, nil)}
	if err := errors.Join(p.late(began, time.Now()), s.late(time.Now())); err != nil {
		t.Errorf("while the video comes: %v", err)
	}
	close(done)
	if err := in.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.late(began, time.Now()), s.late(time.Now())); err != nil {
		t.Errorf("as it is there: %v", err)
	}
	if p.late(began, later) == nil || s.late(later) == nil {
		t.Error("a minute after it is there, no sound and no sign of life are in time")
	}
}

// Whatever ffmpeg says of a pipe, the verdict is that on the file. What can only end so is not waited for.
func TestNoVerdictComesOfAPipe(t *testing.T) {
	t.Parallel()
	ourDoing(t)
	clip := testmedia.Clip(t, testmedia.Spec{Ext: "mkv", Seconds: 6})
	want, _, err := convertFile(t, Runner{}, clip, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"blames", "mumbles", "lingers"} {
		for _, cores := range []*Cores{nil, forced()} {
			t.Run(fmt.Sprint(says, " ", cores != nil), func(t *testing.T) {
				t.Parallel()
				r := fake(t, filepath.Join("pipe", says))
				r.Cores, r.Stall, r.Wall = cores, time.Hour, time.Hour
				got, ok, err := convertEarly(t, r, clip, Options{})
				if err != nil || !ok || !bytes.Equal(read(t, got), read(t, want)) {
					t.Errorf("%v, by a pipe: %v, or the MP3 differs", err, ok)
				}
				data := read(t, clip)
				piped := make(chan struct{})
				r.piped = sync.OnceFunc(func() { close(piped) })
				in := coming(t, data, len(data)/2, func(to io.Writer) error {
					await(t, piped)
					_, err := to.Write(data[len(data)/2:])
					return err
				})
				out := scratch(t, r)
				defer out.Close()
				if _, err := r.early(t.Context(), in, out, Options{}); err == nil {
					t.Error("what was made of the pipe counts")
				}
			})
		}
	}
}

func TestWithNoCoreIdleAVideoIsWaitedFor(t *testing.T) {
	t.Parallel()
	ourDoing(t)
	data := read(t, testmedia.Clip(t, testmedia.Spec{Ext: "mkv", Seconds: 6}))
	for seats, begins := range map[int]bool{0: true, 1: true, 2: false, 3: false} {
		c := forced() // three
		c.seats = seats
		given, returned, piped := make(chan struct{}), make(chan struct{}), false
		r := Runner{Cores: c, piped: func() { piped = true; close(given) }}
		in := coming(t, data, len(data)/2, func(to io.Writer) error {
			select {
			case <-given:
			case <-returned:
			}
			_, err := to.Write(data[len(data)/2:])
			return err
		})
		out := scratch(t, r)
		defer out.Close()
		_, err := r.early(t.Context(), in, out, Options{Profile: job.CBR128})
		close(returned)
		if (err == nil) != begins || piped != begins {
			t.Errorf("with %d other conversions on 3 cores, early = %v, and ffmpeg is given a pipe: %v", seats, err, piped)
		}
	}
}
