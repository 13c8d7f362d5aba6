package main

import (
	"testing"

	"mp3converter/cmd/internal/backend"
	"mp3converter/internal/daemon"
	"mp3converter/internal/settings"
	"mp3converter/internal/settings/readme"
)

func TestReadmeListsTheSettings(t *testing.T) {
	readme.Check(t, "converter", settings.Describe[config](), settings.Describe[daemon.Settings](), settings.Describe[backend.Settings]())
}
