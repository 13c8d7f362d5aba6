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
	env := []string{"MYSQL_HOST=mysql", "MYSQL_PASSWORD=p"}
	own := strings.Repeat("s", 32)
	open := append(env[:2:2], "JWT_SECRET="+own+","+published.Value)
	if _, err := settings.Load[config](open); err == nil || !strings.Contains(err.Error(), "JWT_SECRET: this one is published") {
		t.Errorf("without DEV: %v", err)
	}
	if _, err := settings.Load[config](append(open, "DEV=true")); err != nil {
		t.Errorf("with DEV=true: %v", err)
	}
	if _, err := settings.Load[config](append(env[:2:2], "JWT_SECRET="+own)); err != nil {
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
	workload, _ := set.Workload("auth")
	if got := set.Effective(workload)["JWT_SECRET"]; got != published.Value {
		t.Errorf("the manifests give auth the JWT_SECRET %q, want %q", got, published.Value)
	}
}
