package backend

import (
	"testing"

	"mp3converter/internal/daemon"
	"mp3converter/internal/settings"
	"mp3converter/internal/settings/readme"
)

func TestReadmeListsTheSharedSettings(t *testing.T) {
	readme.Check(t, "all", settings.Describe[daemon.Settings]())
	readme.Check(t, "backend", settings.Describe[Settings]())
}
