// Command mp3converter is all four services in one process on embedded stores: the laptop's default. Everything it keeps
// is in one folder, SQLite for users, jobs and mails, plain files for videos and MP3s, and survives kill -9. What it rings
// with are channels: they forget, the ledger remembers.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"mp3converter/internal/daemon"
	"mp3converter/internal/sandbox"
)

func main() {
	sandbox.Enter()
	cfg, args, err := parse(os.Args[1:], os.Environ(), os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		daemon.Exit(err)
	case len(args) == 0:
		daemon.Exit(serve(cfg))
	case args[0] == "demo" && len(args) <= 2:
		daemon.Exit(demo(cfg, args[1:]))
	default:
		daemon.Exit(fmt.Errorf("mp3converter: unknown command %q; mp3converter -h lists them", args[0]))
	}
}

// serve runs the suite until a signal.
func serve(cfg config) error {
	return daemon.Run("mp3converter", cfg.daemon(), func(p *daemon.Process) error {
		s, err := start(p, cfg)
		if err != nil {
			return err
		}
		s.welcome(os.Stderr)
		return nil
	})
}
