package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mp3converter/internal/daemon"
)

// errShown ends the suite when the demo has been shown.
var errShown = errors.New("the demo is over")

// demoPatience is more than the demo ever needs after the upload, for videos of some hours.
const demoPatience = 30 * time.Minute

// demo runs the suite on free ports in a temporary folder and does once what a user does, as the curl commands it
// prints. It returns nil only if the MP3 lasts as long as the video's sound.
func demo(cfg config, args []string) error {
	dir, err := os.MkdirTemp("", "mp3converter-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cfg.Data = filepath.Join(dir, "data")
	cfg.Listen, cfg.Inbox, cfg.Ops, cfg.BaseURL = "127.0.0.1:0", "127.0.0.1:0", "", ""
	cfg.Level = slog.LevelWarn
	err = daemon.Run("mp3converter", cfg.daemon(), func(p *daemon.Process) error {
		s, err := start(p, cfg)
		if err != nil {
			return err
		}
		p.Go("demo", func(ctx context.Context) error {
			d := &story{out: os.Stdout, dir: dir, ffmpeg: cmp.Or(cfg.Encoder.FFmpeg, "ffmpeg"), suite: s}
			if err := d.tell(ctx, args); err != nil {
				return err
			}
			return errShown
		})
		return nil
	})
	if errors.Is(err, errShown) {
		return nil
	}
	return err
}

// story is the demo as it goes on.
type story struct {
	out    io.Writer
	dir    string // temporary
	ffmpeg string // makes the clip and measures, so a full build: PATH's, not the one beside us
	suite  *suite

	video string
	sound time.Duration // of the video
	user  *client
	mp3   string // file downloaded
}

// tell does the main job step by step.
func (d *story) tell(ctx context.Context, args []string) error {
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return d.choose(ctx, args) },
		d.login, d.upload, d.convert, d.mail, d.download, d.check,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// choose takes the video of the command line, or makes one.
func (d *story) choose(ctx context.Context, args []string) error {
	if len(args) == 1 {
		d.video = args[0]
	} else {
		d.video = filepath.Join(d.dir, "clip.mp4")
		d.say("A video to convert: 30 s of 720p with sound")
		if err := makeClip(ctx, d.ffmpeg, d.video); err != nil {
			return err
		}
	}
	info, err := os.Stat(d.video)
	if err != nil {
		return err
	}
	if d.sound, err = soundOf(ctx, d.ffmpeg, d.video); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "%s, %s, %.1f s of sound\n", filepath.Base(d.video), size(info.Size()), d.sound.Seconds())
	return nil
}

func (d *story) login(ctx context.Context) (err error) {
	d.say("1. Log in")
	d.curl("-X POST %s/login -u %s:%s", d.suite.URL, demoUser, d.suite.Password)
	if d.user, err = login(ctx, d.suite.URL, demoUser, d.suite.Password); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "%.40s…\n", d.user.token)
	return nil
}

func (d *story) upload(ctx context.Context) error {
	d.say("2. Upload the video")
	d.curl("-X POST -F 'file=@%s' -H 'Authorization: Bearer JWT' %s/upload", d.video, d.suite.URL)
	bar := newBar(d.out, "upload")
	answer, err := d.user.upload(ctx, d.video, bar.set)
	bar.end(err == nil)
	if err != nil {
		return err
	}
	fmt.Fprintln(d.out, answer)
	return nil
}

func (d *story) convert(ctx context.Context) error {
	d.say("3. Watch it being converted")
	d.curl("-H 'Authorization: Bearer JWT' %s%s", d.suite.URL, d.user.job)
	bar := newBar(d.out, "conversion")
	for deadline := time.Now().Add(demoPatience); ; {
		job, err := d.user.status(ctx)
		if err != nil {
			return err
		}
		switch job.State {
		case "converted", "done":
			bar.set(1)
			bar.end(true)
			return nil
		case "failed":
			bar.end(false)
			return fmt.Errorf("the conversion failed (%s): %s", job.Reason, job.Detail)
		}
		bar.set(float64(job.Progress) / 100)
		if time.Now().After(deadline) {
			return fmt.Errorf("the job is still %s after %v", job.State, demoPatience)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

func (d *story) mail(ctx context.Context) error {
	d.say("4. The e-mail, as it arrived")
	d.curl("%s/mails?to=%s", d.suite.InboxURL, demoUser)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		mails, err := d.user.mails(ctx, d.suite.InboxURL)
		if err != nil {
			return err
		}
		if len(mails) > 0 {
			m := mails[0]
			fmt.Fprintf(d.out, "From: %s\nTo: %s\nDate: %s\nSubject: %s\n\n%s", m.From, m.To, m.Date.Format(time.RFC1123Z), m.Subject, m.Body)
			d.user.fid = mp3ID(m.Body)
			return nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("no mail after a minute")
}

func (d *story) download(ctx context.Context) (err error) {
	d.say("5. Download the MP3 it names")
	name := strings.TrimSuffix(filepath.Base(d.video), filepath.Ext(d.video)) + ".mp3"
	d.mp3 = filepath.Join(os.TempDir(), "mp3converter-"+name)
	d.curl("--output %s -X GET -H 'Authorization: Bearer JWT' \"%s/download?fid=%s\"", d.mp3, d.suite.URL, d.user.fid)
	return d.user.download(ctx, d.mp3)
}

// check measures the MP3 by decoding it, and compares.
func (d *story) check(ctx context.Context) error {
	info, err := os.Stat(d.mp3)
	if err != nil {
		return err
	}
	lasts, err := soundOf(ctx, d.ffmpeg, d.mp3)
	if err != nil {
		return err
	}
	rate := float64(info.Size()) * 8 / 1000 / lasts.Seconds()
	fmt.Fprintf(d.out, "%s: %.1f s, %.0f kb/s, %s\n", d.mp3, lasts.Seconds(), rate, size(info.Size()))
	if off := math.Abs(lasts.Seconds() - d.sound.Seconds()); off > 0.1+d.sound.Seconds()/200 {
		return fmt.Errorf("the MP3 lasts %v, the video's sound %v", lasts, d.sound)
	}
	fmt.Fprintf(d.out, "It lasts as long as the video's sound.\n\nNext:\n"+
		"  make demo FILE=your-video.mp4    the same with your video\n"+
		"  make run                         the suite to stay, API on :8080, mails on :8025\n")
	return nil
}

func (d *story) say(what string) { fmt.Fprintf(d.out, "\n%s\n", what) }

func (d *story) curl(format string, args ...any) { fmt.Fprintf(d.out, "$ curl "+format+"\n", args...) }

// pause waits, unless ctx is over.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

func size(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
