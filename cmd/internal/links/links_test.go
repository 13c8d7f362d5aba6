package links

import (
	"log/slog"
	"strings"
	"testing"

	"mp3converter/internal/manifests"
	"mp3converter/internal/settings"
)

const own = "this one is ours and has 32 bytes"

func TestThePublishedSecretIsForMinikubeOnly(t *testing.T) {
	secret := "LINK_SECRET=" + own + "," + published.Value
	if _, err := settings.Load[Settings]([]string{secret}); err == nil || !strings.Contains(err.Error(), "LINK_SECRET: this one is published") {
		t.Errorf("without DEV: %v", err)
	}
	cfg, err := settings.Load[Settings]([]string{secret, "DEV=true"})
	if err != nil {
		t.Errorf("with DEV=true: %v", err)
	}
	var log strings.Builder
	cfg.Warn(slog.New(slog.NewTextHandler(&log, nil)))
	if said := log.String(); !strings.Contains(said, "LINK_SECRET is published") {
		t.Errorf("with DEV=true the log says %q", said)
	}
}

func TestASecretIsAKey(t *testing.T) {
	for _, secret := range []string{"", own, own + "," + own + "!"} {
		cfg, err := settings.Load[Settings]([]string{"LINK_SECRET=" + secret})
		if err != nil {
			t.Errorf("LINK_SECRET=%q: %v", secret, err)
		}
		if key, err := cfg.Key(); err != nil || key.IsZero() != (secret == "") {
			t.Errorf("the key of %q: zero %v, %v", secret, key.IsZero(), err)
		}
	}
	if _, err := settings.Load[Settings]([]string{"LINK_SECRET=short"}); err == nil || !strings.Contains(err.Error(), "32") {
		t.Errorf("a short secret: %v", err)
	}
}

func TestItIsTheOneThatIsPublished(t *testing.T) {
	set, err := manifests.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range []string{"gateway", "notification"} {
		workload, _ := set.Workload(service)
		if got := set.Effective(workload)["LINK_SECRET"]; got != published.Value {
			t.Errorf("the manifests give %s the LINK_SECRET %q, want %q", service, got, published.Value)
		}
	}
}
