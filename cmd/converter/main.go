// Command converter makes MP3s of videos, one per processor at a time. Settings are environment variables; converter -h
// lists them.
package main

import (
	"mp3converter/cmd/internal/backend"
	"mp3converter/cmd/internal/encoder"
	"mp3converter/internal/converter"
	"mp3converter/internal/daemon"
	"mp3converter/internal/job"
	"mp3converter/internal/mongodb"
	"mp3converter/internal/sandbox"
)

func main() {
	sandbox.Enter()
	daemon.Main("converter", func(c config) daemon.Settings { return c.Daemon }, run)
}

// run is the service.
func run(p *daemon.Process, cfg config) error {
	stores, err := backend.Open(p, cfg.Backend, mongodb.MP3s, mongodb.Jobs)
	if err != nil {
		return err
	}
	p.Defer(stores.Close)
	ffmpeg := encoder.New(p, cfg.Encoder)
	service := converter.New(converter.Config{
		Ledger: stores.Ledger, Videos: stores.Videos, MP3s: stores.MP3s, Ring: stores.Doorbell.Ring,
		Temp: ffmpeg.Temp, Hire: ffmpeg.Hire, Needed: ffmpeg.Needed, Convert: ffmpeg.Convert, Early: ffmpeg.Early,
		Rules: stores.Rules, Worker: backend.Worker(), Log: p.Log, Metrics: p.Metrics,
	})
	stores.Consume(p, job.ForConverter, cfg.Encoder.Parallel(), service.Handle, ffmpeg.Prepare)
	return nil
}
