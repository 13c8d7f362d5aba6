// Command auth logs users in and out and says whose a token is. It serves POST /login, /validate and /logout, and to
// operators GET /users, for the gateway only.
//
//	auth                       serve; settings are environment variables, auth -h lists them
//	auth user add|passwd E-MAIL, auth user list, auth user delete E-MAIL
//	auth hash                  print the hash of a password, for a row made by hand
//
// Passwords come from the terminal or from standard input, never from an argument.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"mp3converter/internal/auth"
	"mp3converter/internal/daemon"
	"mp3converter/internal/settings"
	"mp3converter/internal/token"
)

func main() {
	if len(os.Args) > 1 && (os.Args[1] == "user" || os.Args[1] == "hash") {
		daemon.Exit(manage(os.Args[1:]))
	}
	daemon.Main("auth", func(c config) daemon.Settings { return c.Settings }, run)
	_, _ = os.Stdout.WriteString("\n" + usersUsage) // Main returns only when it was asked for help
}

// run is the service.
func run(p *daemon.Process, cfg config) error {
	published.Warn(p.Log, cfg.Secret)
	key, err := token.NewKey(string(cfg.Secret))
	if err != nil {
		return err
	}
	users, err := cfg.MySQL.open()
	if err != nil {
		return err
	}
	p.Needs("mysql", users.Ping)
	p.Needs("tables", users.Prepared) // apart, for who excludes mysql: a new version must not replace the old one before init.sql has run
	service := auth.New(auth.Config{
		Users: users, Failures: users, Revocations: users, Key: key, Operators: cfg.Operators, TrustedProxies: cfg.TrustedProxies,
		Log: p.Log, Metrics: p.Metrics,
	})
	if err := service.Refresh(p.Context()); err != nil { // not without MySQL, but it serves: see Watch
		p.Log.Warn("tokens that were ended are good until MySQL is there", "err", err)
	}
	p.Go("revocations", service.Watch)
	_, err = p.Serve("http", cfg.Listen, service.Routes())
	return err
}

// manage is the sub-commands.
func manage(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return usersCommand(ctx, args, os.Stdin, os.Stdout, openUsers)
}

// openUsers connects to the database that the environment names.
func openUsers() (users, error) {
	cfg, err := settings.Load[database](os.Environ())
	if err != nil {
		return nil, err
	}
	return cfg.open()
}
