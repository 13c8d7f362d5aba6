package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mp3converter/cmd/internal/encoder"
	"mp3converter/cmd/internal/hooks"
	"mp3converter/cmd/internal/uploads"
	"mp3converter/internal/daemon"
	"mp3converter/internal/settings"
	"mp3converter/internal/trail/otlp"
)

// config is the command's environment; the commonest variables have a flag too, which wins.
type config struct {
	Data    string           `env:"DATA_DIR" doc:"folder of everything that is kept (-data); without it mp3converter in the user's data folder"`
	Listen  string           `env:"LISTEN" envDefault:"127.0.0.1:8080" doc:"host:port of the API (-listen)"`
	Inbox   string           `env:"INBOX_LISTEN" envDefault:"127.0.0.1:8025" doc:"host:port of the page with all mails (-inbox); it asks nobody who they are"`
	BaseURL string           `env:"BASE_URL" doc:"the API as users reach it, for the address in the mail; without it http:// and LISTEN"`
	LinkFor settings.Hours   `env:"LINK_HOURS" envDefault:"72" doc:"how long a mail's link downloads the MP3 without a login"`
	Ops     string           `env:"OPS_LISTEN" doc:"host:port of /livez, /readyz and /metrics; without it nowhere"`
	Grace   settings.Seconds `env:"GRACE_SECONDS" envDefault:"10" doc:"after a signal: for what is running to end"`
	Level   slog.Level       `env:"LOG_LEVEL" envDefault:"INFO" doc:"DEBUG, INFO, WARN or ERROR"`
	Uploads uploads.Settings
	Encoder encoder.Settings
	Traces  otlp.Settings
	Reach   hooks.Reach
	Keep    hooks.Keep
	Courier hooks.Courier
	settings.Rules

	Operators settings.Addresses `env:"OPERATORS" doc:"e-mail addresses with commas between: these users and the demo user may use /admin, where they see and end everybody's jobs"`
}

// Validate reports what the variables cannot be.
func (c config) Validate() error {
	var mistake error
	if c.LinkFor.D() < time.Hour {
		mistake = errors.New("LINK_HOURS: at least 1")
	}
	return errors.Join(mistake, c.Uploads.Validate(), c.Encoder.Validate(), c.Keep.Validate(), c.Courier.Validate(), c.Rules.Validate(), c.Traces.Validate())
}

// daemon is the part of the settings that the process around the suite takes.
func (c config) daemon() daemon.Settings {
	return daemon.Settings{Ops: c.Ops, Grace: c.Grace, Level: c.Level, Traces: c.Traces}
}

// flags maps the flags to the variables that they stand for.
var flags = map[string]string{"data": "DATA_DIR", "listen": "LISTEN", "inbox": "INBOX_LISTEN", "workers": "WORKERS", "ffmpeg": "FFMPEG"}

// parse reads flags and environment. What is left of the arguments is returned. With -h it writes the help to out.
func parse(args, environ []string, out io.Writer) (config, []string, error) {
	set := flag.NewFlagSet("mp3converter", flag.ContinueOnError)
	set.SetOutput(io.Discard) // mistakes are returned
	for name, variable := range flags {
		set.Func(name, variable, func(value string) error {
			environ = append(environ, variable+"="+value)
			return nil
		})
	}
	switch err := set.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		usage(out)
		return config{}, nil, err
	case err != nil:
		return config{}, nil, fmt.Errorf("mp3converter: %w; mp3converter -h lists the flags", err)
	}
	cfg, err := settings.Load[config](environ)
	if err != nil {
		return cfg, nil, fmt.Errorf("mp3converter does not start, mend its environment:\n%w", err)
	}
	if cfg.Data == "" {
		if cfg.Data, err = defaultData(); err != nil {
			return cfg, nil, err
		}
	}
	return cfg, set.Args(), nil
}

// defaultData is where the XDG base directory specification has programs keep their data.
func defaultData() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "mp3converter"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no data folder, set DATA_DIR: %w", err)
	}
	return filepath.Join(home, ".local", "share", "mp3converter"), nil
}

func usage(w io.Writer) {
	fmt.Fprint(w, strings.TrimLeft(`
mp3converter is the whole suite in one process, on stores of its own:

  mp3converter               serve, until a signal
  mp3converter demo [VIDEO]  do once what a user does, in a temporary folder, and show it

Flags, before the command, and what they set: -data DIR, -listen HOST:PORT, -inbox HOST:PORT, -workers N, -ffmpeg PROGRAM

`, "\n"))
	daemon.Help[config](w, "mp3converter")
}
