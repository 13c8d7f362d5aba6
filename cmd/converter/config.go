package main

import (
	"errors"

	"mp3converter/cmd/internal/backend"
	"mp3converter/cmd/internal/encoder"
	"mp3converter/internal/daemon"
)

// config is the command's environment.
type config struct {
	Encoder encoder.Settings
	Backend backend.Settings
	Daemon  daemon.Settings
}

// Validate reports what the variables cannot be.
func (c config) Validate() error {
	return errors.Join(c.Encoder.Validate(), c.Backend.Validate(), c.Daemon.Validate())
}
