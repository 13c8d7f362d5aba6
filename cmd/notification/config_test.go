package main

import (
	"strings"
	"testing"

	"mp3converter/cmd/internal/backend"
	"mp3converter/internal/daemon"
	"mp3converter/internal/manifests"
	"mp3converter/internal/settings"
	"mp3converter/internal/settings/readme"
)

func TestReadmeListsTheSettings(t *testing.T) {
	readme.Check(t, "notification", settings.Describe[config](), settings.Describe[daemon.Settings](), settings.Describe[backend.Settings]())
}

func TestManifestsSetWhatItKnowsAndNeeds(t *testing.T) {
	set, err := manifests.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range manifests.Environment[config](set, "notification") {
		t.Error(finding)
	}
}

// What is wrong in any group of settings is told at the start, and by name.
func TestMistakesAreNamed(t *testing.T) {
	for _, wrong := range []string{
		"WEBHOOK_WORKERS=-1", "WEBHOOK_RETRY_SECONDS=0,5", "LINK_SECRET=short", "LINK_HOURS=0", "WORKERS=0", "LEASE_SECONDS=0", "DRAIN_SECONDS=-1", "MAIL_FROM=nobody",
	} {
		name, _, _ := strings.Cut(wrong, "=")
		if _, err := settings.Load[config]([]string{wrong}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
