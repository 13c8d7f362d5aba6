package main

import (
	"errors"

	"mp3converter/cmd/internal/backend"
	"mp3converter/cmd/internal/hooks"
	"mp3converter/cmd/internal/links"
	"mp3converter/cmd/internal/uploads"
	"mp3converter/internal/daemon"
)

// config is the command's environment.
type config struct {
	Listen  string `env:"LISTEN" envDefault:":8080" doc:"host:port of the public API"`
	Auth    string `env:"AUTH_SVC_ADDRESS,required,notEmpty" doc:"host:port of the auth service"`
	Uploads uploads.Settings
	Links   links.Settings
	Reach   hooks.Reach
	Keep    hooks.Keep
	Backend backend.Settings
	Daemon  daemon.Settings
}

// Validate reports what the variables cannot be.
func (c config) Validate() error {
	return errors.Join(c.Uploads.Validate(), c.Keep.Validate(), c.Links.Validate(), c.Backend.Validate(), c.Daemon.Validate())
}
