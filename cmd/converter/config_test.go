package main

import (
	"testing"

	"mp3converter/cmd/internal/backend"
	"mp3converter/internal/daemon"
	"mp3converter/internal/manifests"
	"mp3converter/internal/settings"
	"mp3converter/internal/settings/readme"
)

func TestReadmeListsTheSettings(t *testing.T) {
	readme.Check(t, "converter", settings.Describe[config](), settings.Describe[daemon.Settings](), settings.Describe[backend.Settings]())
}

func TestManifestsSetWhatItKnowsAndNeeds(t *testing.T) {
	set, err := manifests.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range manifests.Environment[config](set, "converter") {
		t.Error(finding)
	}
}
