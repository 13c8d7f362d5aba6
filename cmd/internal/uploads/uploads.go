// Package uploads is the settings of uploads, sweeping and clients that the gateway and the suite in one process have in common.
package uploads

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"mp3converter/internal/arrival"
	"mp3converter/internal/gateway"
	"mp3converter/internal/settings"
)

// Settings are the variables.
type Settings struct {
	MaxUpload      int64            `env:"MAX_UPLOAD_BYTES" envDefault:"4294967296" doc:"largest video; a larger one is answered 413"`
	MaxUploads     int              `env:"MAX_UPLOADS" envDefault:"64" doc:"uploads at once; one more is answered 503"`
	MaxUploadsEach int              `env:"MAX_UPLOADS_PER_USER" envDefault:"48" doc:"uploads of one user at once"`
	QuotaBytes     int64            `env:"QUOTA_BYTES" envDefault:"107374182400" doc:"of one user's videos and MP3s; an upload that would exceed it is answered 413, running ones hold what they may come to. MP3s count once they are there; 0 is no limit"`
	QuotaJobs      int              `env:"QUOTA_JOBS" envDefault:"1000" doc:"of one user queued, converting or being uploaded; one more is answered 429; 0 is no limit"`
	MaxUnfinished  int              `env:"MAX_UNFINISHED_UPLOADS" envDefault:"100" doc:"resumable uploads of one user that are not whole; one more is answered 429"`
	ResumeHours    float64          `env:"RESUME_HOURS" envDefault:"24" doc:"a resumable upload of which nothing more has come for this long is removed; until then it holds its size in QUOTA_BYTES. At least 96 times STALL_SECONDS"`
	MaxDownloads   int              `env:"MAX_DOWNLOADS" envDefault:"256" doc:"downloads at once, each some 4 MiB of memory; one more is answered 503"`
	MaxStreams     int              `env:"MAX_STREAMS" envDefault:"1000" doc:"streams of events at once, each some 50 KiB of memory; one more is answered 503"`
	MaxStreamsEach int              `env:"MAX_STREAMS_PER_USER" envDefault:"20" doc:"streams of events of one user at once"`
	Stall          settings.Seconds `env:"STALL_SECONDS" envDefault:"30" doc:"a sender silent for this long is cut off with 408"`
	Sweep          settings.Seconds `env:"SWEEP_SECONDS" envDefault:"10" doc:"how often to look for jobs nobody was rung for, and for garbage"`
	TrustedProxies []netip.Prefix   `env:"TRUSTED_PROXIES" doc:"networks of the proxies in front, as 10.244.0.0/16,fd00::/8: their X-Forwarded-For says who the client is, their X-Forwarded-Proto whether it speaks TLS; without it whoever connects is"`
}

// maxResumeHours is a year.
const maxResumeHours = 365 * 24

// slowest is for how long an upload that goes on may be silent in the ledger, and would be taken for dead: its client may take Stall
// for each Pace, and the store may gather a whole batch first. Twice as long, for the store takes its time too; in hours, with two
// decimals.
func (s Settings) slowest() float64 {
	return math.Ceil((2*arrival.MaxBatch/gateway.Pace*s.Stall.D()).Hours()*100) / 100
}

// Validate reports what the variables cannot be.
func (s Settings) Validate() error {
	var mistakes []error
	if s.MaxUpload < 1 || s.MaxUploads < 1 || s.MaxUploadsEach < 1 || s.MaxUnfinished < 1 || s.MaxDownloads < 1 {
		mistakes = append(mistakes, errors.New("MAX_UPLOAD_BYTES, MAX_UPLOADS, MAX_UPLOADS_PER_USER, MAX_UNFINISHED_UPLOADS, MAX_DOWNLOADS: each at least 1"))
	}
	if s.MaxStreams < 1 || s.MaxStreamsEach < 1 {
		mistakes = append(mistakes, errors.New("MAX_STREAMS, MAX_STREAMS_PER_USER: each at least 1"))
	}
	if s.QuotaBytes < 0 || s.QuotaJobs < 0 {
		mistakes = append(mistakes, errors.New("QUOTA_BYTES, QUOTA_JOBS: each at least 0, which is no limit"))
	}
	if s.ResumeHours <= 0 || s.ResumeHours < s.slowest() || s.ResumeHours > maxResumeHours {
		mistakes = append(mistakes, fmt.Errorf("RESUME_HOURS: %v to %d; with STALL_SECONDS=%v a slow upload may go on for so long before it is noted",
			s.slowest(), maxResumeHours, s.Stall.D().Seconds()))
	}
	if s.Stall <= 0 || s.Sweep <= 0 {
		mistakes = append(mistakes, errors.New("STALL_SECONDS, SWEEP_SECONDS: each more than 0"))
	}
	return errors.Join(mistakes...)
}

// Apply puts them into a gateway's configuration.
func (s Settings) Apply(c *gateway.Config) {
	c.MaxUpload, c.MaxUploads, c.MaxUploadsEach = s.MaxUpload, s.MaxUploads, s.MaxUploadsEach
	c.QuotaBytes, c.QuotaJobs = s.QuotaBytes, s.QuotaJobs
	c.MaxUnfinished, c.Rules.ResumeFor = s.MaxUnfinished, time.Duration(s.ResumeHours*float64(time.Hour))
	c.MaxDownloads = s.MaxDownloads
	c.MaxStreams, c.MaxStreamsEach = s.MaxStreams, s.MaxStreamsEach
	c.Stall, c.SweepEvery = s.Stall.D(), s.Sweep.D()
	c.TrustedProxies = s.TrustedProxies
}
