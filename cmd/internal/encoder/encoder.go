// Package encoder is the assembly of ffmpeg that the converter and the suite in one process have in common.
package encoder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"mp3converter/internal/daemon"
	"mp3converter/internal/ffmpeg"
	"mp3converter/internal/ffmpeg/container"
	"mp3converter/internal/job"
	"mp3converter/internal/sandbox"
	"mp3converter/internal/settings"
	"mp3converter/internal/spool"
)

// Settings are the variables behind it.
type Settings struct {
	Workers     int              `env:"WORKERS" envDefault:"0" doc:"conversions at once, and the cores that they have together: each has one and a part of the idle ones; 0 is one for each processor"`
	FFmpeg      string           `env:"FFMPEG" doc:"the ffmpeg program; without it the one beside this program's own file, else the one in PATH"`
	Sandbox     string           `env:"SANDBOX" envDefault:"best" doc:"required: do not start unless the kernel can keep ffmpeg from all else (Landlock, seccomp); best: go without what it lacks, and say so; off: go without, for an FFMPEG that is a script"`
	Scratch     string           `env:"SCRATCH_DIR" envDefault:"/tmp" doc:"folder for the running conversions: WORKERS times the largest video, its MP3 and 256 MB"`
	MaxDuration settings.Seconds `env:"MAX_DURATION_SECONDS" envDefault:"43200" doc:"longest sound; a longer one fails as too_long"`
	Stall       settings.Seconds `env:"FFMPEG_STALL_SECONDS" envDefault:"20" doc:"an ffmpeg silent for this long, and a second more for every 16 MiB of video, is killed; the conversion has crashed"`
	Wall        settings.Seconds `env:"FFMPEG_WALL_SECONDS" envDefault:"30" doc:"a conversion that takes this long, and a second more for every 16 MiB of video and every 5 seconds of sound made, fails as too_slow"`
	MaxMP3      int64            `env:"MAX_MP3_BYTES" envDefault:"4294967296" doc:"largest MP3; a larger one fails as too_large"`
}

// Validate reports what the variables cannot be.
func (s Settings) Validate() error {
	var mistakes []error
	if s.Workers < 0 {
		mistakes = append(mistakes, errors.New("WORKERS: not below 0"))
	}
	if _, err := s.layers(); err != nil {
		mistakes = append(mistakes, fmt.Errorf("SANDBOX: %w", err))
	}
	for _, limit := range []struct {
		name     string
		positive bool
	}{
		{"MAX_DURATION_SECONDS", s.MaxDuration > 0}, {"FFMPEG_STALL_SECONDS", s.Stall > 0}, {"FFMPEG_WALL_SECONDS", s.Wall > 0},
		{"MAX_MP3_BYTES", s.MaxMP3 > 0},
	} {
		if !limit.positive {
			mistakes = append(mistakes, errors.New(limit.name+": more than 0"))
		}
	}
	return errors.Join(mistakes...)
}

// layers are the sandbox's that SANDBOX asks for and this kernel has.
func (s Settings) layers() (sandbox.Layers, error) {
	switch s.Sandbox {
	case "required":
		return sandbox.All, sandbox.Complete()
	case "best":
		return sandbox.Available(), nil
	case "off":
		return sandbox.Limits, nil
	}
	return 0, errors.New("required, best or off")
}

// Parallel is how many conversions run at once.
func (s Settings) Parallel() int {
	if s.Workers == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return s.Workers
}

// Encoder is ffmpeg as package converter takes it.
type Encoder struct {
	runner ffmpeg.Runner
	p      *daemon.Process
	works  *atomic.Bool
}

// New returns the encoder that the settings name. The service is not ready before Prepare.
func New(p *daemon.Process, s Settings) Encoder {
	path := program(s.FFmpeg)
	layers, _ := s.layers() // validated
	if lacks := sandbox.All &^ layers; lacks != 0 {
		p.Log.Warn("ffmpeg runs in half a sandbox", "has", layers.String(), "lacks", lacks.String(), "sandbox", s.Sandbox)
	}
	spares := new(sandbox.Spares)
	p.Defer(spares.Wait)
	e := Encoder{ffmpeg.Runner{
		Path: path, Sandbox: layers, Spares: spares, Scratch: s.Scratch, MaxDuration: s.MaxDuration.D(), MaxBytes: s.MaxMP3, Stall: s.Stall.D(), Wall: s.Wall.D(),
		Cores: ffmpeg.NewCores(min(s.Parallel(), runtime.GOMAXPROCS(0))), Spent: measure(p.Metrics, s.Parallel()),
	}, p, new(atomic.Bool)}
	p.Needs("ffmpeg", func(context.Context) error {
		if !e.works.Load() {
			return errors.New("not seen to work yet; see FFMPEG, SANDBOX and SCRATCH_DIR")
		}
		_, err := exec.LookPath(path) // it may have gone since
		return err
	})
	return e
}

// measure has the metrics tell what ffmpeg uses, and how many conversions there is room for.
func measure(to prometheus.Registerer, workers int) (spent func(user, system time.Duration)) {
	factory := promauto.With(to)
	factory.NewGauge(prometheus.GaugeOpts{
		Name: "mp3_conversion_workers", Help: "Conversions that may run at once.",
	}).Set(float64(workers))
	cpu := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "mp3_ffmpeg_cpu_seconds_total", Help: "Processor time of all ffmpeg processes that have ended.",
	}, []string{"mode"})
	return func(user, system time.Duration) {
		cpu.WithLabelValues("user").Add(user.Seconds())
		cpu.WithLabelValues("system").Add(system.Seconds())
	}
}

// program is the ffmpeg to run: the one that the setting names, else the one that was built for us and lies beside this
// program's own file, else whatever PATH has when it is run.
func program(setting string) string {
	if setting != "" {
		return setting
	}
	if own, err := os.Executable(); err == nil {
		if beside, err := exec.LookPath(filepath.Join(filepath.Dir(own), "ffmpeg")); err == nil {
			return beside
		}
	}
	return "ffmpeg"
}

// Prepare waits until ffmpeg works: a converter that cannot convert must not take jobs from those that can.
func (e Encoder) Prepare(ctx context.Context) error {
	return e.p.WaitFor(ctx, "ffmpeg (FFMPEG, SANDBOX, SCRATCH_DIR)", func(ctx context.Context) error {
		version, err := e.runner.Check(ctx)
		if err == nil {
			e.works.Store(true)
			e.p.Log.InfoContext(ctx, "ffmpeg works", "version", version, "sandbox", e.runner.Sandbox.String(), "shares_cores", e.runner.Cores.Lent())
		}
		return err
	})
}

// Temp returns an unnamed scratch file.
func (e Encoder) Temp() (*os.File, error) { return e.runner.Temp() }

// Hire has a process start that will be ffmpeg, and a core kept for it: while the job is claimed and its video read, nobody
// waits for that.
func (e Encoder) Hire() (release func()) {
	process, core := e.runner.Spares.Hire(), e.runner.Cores.Expect()
	return func() {
		process()
		core()
	}
}

// Needed returns what Convert reads of a video; nil is all of it.
func (e Encoder) Needed(r io.ReaderAt, size int64) []job.Span { return container.Sound(r, size) }

// Convert makes an MP3 of a video.
func (e Encoder) Convert(ctx context.Context, in, out *os.File, title string, profile job.Profile, progress func(percent int)) (time.Duration, error) {
	result, err := e.runner.Convert(ctx, in, out, ffmpeg.Options{Title: title, Profile: profile, Progress: progress})
	return result.Duration, err
}

// Early makes an MP3 of a video that is still to come.
func (e Encoder) Early(ctx context.Context, in *spool.File, out *os.File, title string, profile job.Profile, progress func(percent int)) (time.Duration, error) {
	result, err := e.runner.Early(ctx, in, out, ffmpeg.Options{Title: title, Profile: profile, Progress: progress})
	return result.Duration, err
}
