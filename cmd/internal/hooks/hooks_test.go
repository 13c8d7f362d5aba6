package hooks

import (
	"strings"
	"testing"
	"time"

	"mp3converter/internal/courier"
	"mp3converter/internal/job"
	"mp3converter/internal/settings"
)

// all is as the suite in one process has them.
type all struct {
	Reach   Reach
	Keep    Keep
	Courier Courier
}

func (a all) Validate() error {
	if err := a.Keep.Validate(); err != nil {
		return err
	}
	return a.Courier.Validate()
}

func TestTheDefaultsAreWhatStandardWebhooksSuggests(t *testing.T) {
	a, err := settings.Load[all](nil)
	if err != nil {
		t.Fatal(err)
	}
	var cfg courier.Config
	a.Courier.Apply(&cfg, job.DefaultRules())
	total := time.Duration(0)
	for _, step := range cfg.Rules.Steps {
		total += step
	}
	if len(cfg.Rules.Steps) != 9 || cfg.Rules.Steps[0] != 5*time.Second || total != 75*time.Hour+35*time.Minute+5*time.Second ||
		cfg.Rules.Lease != job.DefaultRules().Lease || a.Keep.D() != 30*24*time.Hour || a.Courier.Timeout.D() != 15*time.Second {
		t.Errorf("defaults: %+v and %+v, %v in all", a, cfg.Rules, total)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for _, set := range []string{
		"WEBHOOK_ALLOW=10.0.0.1", "WEBHOOK_ALLOW=everybody", "WEBHOOK_RETRY_SECONDS=5,0", "WEBHOOK_RETRY_SECONDS=90000",
		"WEBHOOK_RETRY_SECONDS=soon", "WEBHOOK_TIMEOUT_SECONDS=0", "WEBHOOK_WORKERS=0", "WEBHOOK_POLL_SECONDS=0", "KEEP_DELIVERIES_DAYS=1",
	} {
		name, _, _ := strings.Cut(set, "=")
		if _, err := settings.Load[all]([]string{set}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", set, err)
		}
	}
}
