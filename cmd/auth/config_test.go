package main

import (
	"strings"
	"testing"

	"mp3converter/internal/daemon"
	"mp3converter/internal/manifests"
	"mp3converter/internal/settings"
	"mp3converter/internal/settings/readme"
)

func TestReadmeListsTheSettings(t *testing.T) {
	readme.Check(t, "auth", settings.Describe[config](), settings.Describe[daemon.Settings]())
}

func TestThePublishedSecretIsForMinikubeOnly(t *testing.T) {
	env := []string{"MYSQL_HOST=mysql", "MYSQL_PASSWORD=p", "JWT_SECRET=" + published}
	if _, err := settings.Load[config](env); err == nil || !strings.Contains(err.Error(), "JWT_SECRET") || !strings.Contains(err.Error(), "DEV") {
		t.Errorf("without DEV: %v, want an error that names JWT_SECRET and DEV", err)
	}
	if _, err := settings.Load[config](append(env, "DEV=true")); err != nil {
		t.Errorf("with DEV=true: %v", err)
	}
	if _, err := settings.Load[config](append(env[:2:2], "JWT_SECRET="+strings.Repeat("s", 32))); err != nil {
		t.Errorf("with a secret of one's own: %v", err)
	}
}

func TestManifestsSetWhatItKnowsAndNeeds(t *testing.T) {
	set, err := manifests.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range manifests.Environment[config](set, "auth") {
		t.Error(finding)
	}
}
