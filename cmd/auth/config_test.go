package main

import (
	"testing"

	"mp3converter/internal/daemon"
	"mp3converter/internal/settings"
	"mp3converter/internal/settings/readme"
)

func TestReadmeListsTheSettings(t *testing.T) {
	readme.Check(t, "auth", settings.Describe[config](), settings.Describe[daemon.Settings]())
}
