// Package hooks is the settings of webhooks that gateway, notification and the suite in one process have in common.
package hooks

import (
	"errors"
	"net/netip"
	"time"

	"mp3converter/internal/courier"
	"mp3converter/internal/hook"
	"mp3converter/internal/job"
	"mp3converter/internal/outside"
	"mp3converter/internal/settings"
)

// Reach is what webhooks may lead to. It must be the same for whoever takes them and for whoever calls them.
type Reach struct {
	Allow []netip.Prefix `env:"WEBHOOK_ALLOW" doc:"networks as 10.1.2.0/24,fd00::/8 that webhooks may lead to beside public addresses, there on any port and by http too; give gateway and notification the same"`
}

// Client calls what webhooks lead to.
func (r Reach) Client(timeout time.Duration) *outside.Client {
	return outside.New(outside.Config{Allow: r.Allow, Timeout: timeout})
}

// Keep is for how long the log is kept.
type Keep struct {
	Days int `env:"KEEP_DELIVERIES_DAYS" envDefault:"30" doc:"for how long the log of a webhook keeps a delivery that does not change"`
}

// Validate reports what the variables cannot be.
func (k Keep) Validate() error {
	if k.Days < 2 {
		return errors.New("KEEP_DELIVERIES_DAYS: at least 2")
	}
	return nil
}

// D is the duration.
func (k Keep) D() time.Duration { return time.Duration(k.Days) * 24 * time.Hour }

// Courier is how deliveries are made.
type Courier struct {
	Steps   []settings.Seconds `env:"WEBHOOK_RETRY_SECONDS" envDefault:"5,300,1800,7200,18000,36000,50400,72000,86400" doc:"waits after each try to deliver to a webhook that failed; after the try after the last one it has failed"`
	Timeout settings.Seconds   `env:"WEBHOOK_TIMEOUT_SECONDS" envDefault:"15" doc:"patience with a webhook's answer"`
	Workers int                `env:"WEBHOOK_WORKERS" envDefault:"8" doc:"webhooks called at once, each once"`
	Every   settings.Seconds   `env:"WEBHOOK_POLL_SECONDS" envDefault:"2" doc:"how often to look for deliveries that are due"`
}

// Validate reports what the variables cannot be.
func (c Courier) Validate() error {
	var mistakes []error
	if len(c.Steps) == 0 {
		mistakes = append(mistakes, errors.New("WEBHOOK_RETRY_SECONDS: at least one"))
	}
	for _, step := range c.Steps {
		if step <= 0 || step.D() > 24*time.Hour {
			mistakes = append(mistakes, errors.New("WEBHOOK_RETRY_SECONDS: each more than 0 and at most 86400"))
			break
		}
	}
	if c.Timeout <= 0 || c.Every <= 0 || c.Workers < 1 {
		mistakes = append(mistakes, errors.New("WEBHOOK_TIMEOUT_SECONDS, WEBHOOK_POLL_SECONDS: each more than 0; WEBHOOK_WORKERS: at least 1"))
	}
	return errors.Join(mistakes...)
}

// Apply puts them into a courier's configuration. A courier has as long a lease as a worker.
func (c Courier) Apply(to *courier.Config, rules job.Rules) {
	to.Rules = hook.Rules{Lease: rules.Lease, Skew: rules.Skew}
	for _, step := range c.Steps {
		to.Rules.Steps = append(to.Rules.Steps, step.D())
	}
	to.Workers, to.Every = c.Workers, c.Every.D()
}
