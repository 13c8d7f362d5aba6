package links

import (
	"log/slog"
	"strings"
	"testing"

	"mp3converter/internal/manifests"
	"mp3converter/internal/settings"
)

func TestThePublishedSecretIsForMinikubeOnly(t *testing.T) {
	const own = "this one is ours and has 32 bytes"
	for _, secrets := range []string{Published, Published + "\n", own + "," + Published, Published + "," + own} {
		_, err := settings.Load[Settings]([]string{"LINK_SECRET=" + secrets})
		if err == nil || !strings.Contains(err.Error(), "LINK_SECRET") || !strings.Contains(err.Error(), "DEV") || strings.Contains(err.Error(), Published) {
			t.Errorf("LINK_SECRET=%q without DEV: %v, want an error that names LINK_SECRET and DEV", secrets, err)
		}
		cfg, err := settings.Load[Settings]([]string{"LINK_SECRET=" + secrets, "DEV=true"})
		if err != nil {
			t.Errorf("LINK_SECRET=%q with DEV: %v", secrets, err)
		}
		if said := warning(cfg); !strings.Contains(said, "LINK_SECRET") || strings.Contains(said, Published) {
			t.Errorf("LINK_SECRET=%q with DEV is warned of by %q", secrets, said)
		}
	}
	for _, secret := range []string{"", own, own + "," + own + "!"} {
		cfg, err := settings.Load[Settings]([]string{"LINK_SECRET=" + secret})
		if err != nil {
			t.Errorf("LINK_SECRET=%q: %v", secret, err)
		}
		if said := warning(cfg); said != "" {
			t.Errorf("LINK_SECRET=%q is warned of: %s", secret, said)
		}
		if key, err := cfg.Key(); err != nil || key.IsZero() != (secret == "") {
			t.Errorf("the key of %q: zero %v, %v", secret, key.IsZero(), err)
		}
	}
	if _, err := settings.Load[Settings]([]string{"LINK_SECRET=short"}); err == nil || !strings.Contains(err.Error(), "32") {
		t.Errorf("a short secret: %v", err)
	}
}

// warning is what the log gets.
func warning(s Settings) string {
	var log strings.Builder
	s.Warn(slog.New(slog.NewTextHandler(&log, nil)))
	return log.String()
}

func TestItIsTheOneThatIsPublished(t *testing.T) {
	set, err := manifests.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range []string{"gateway", "notification"} {
		workload, _ := set.Workload(service)
		if got := set.Effective(workload)["LINK_SECRET"]; got != Published {
			t.Errorf("the manifests give %s the LINK_SECRET %q, want %q", service, got, Published)
		}
	}
}
