package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"mp3converter/cmd/internal/backend"
	"mp3converter/internal/settings"
)

const usage = `usage:
  gateway                           serve; gateway -h lists the settings
  gateway jobs list [--state S] [--owner E-MAIL] [--before ID] [--limit N]
                                    jobs of all owners, the newest first; 50 unless --limit says otherwise
  gateway jobs show [--json] ID     all that is known of a job
  gateway jobs retry ID...          failed jobs anew; the converter is rung for
  gateway jobs fail [--because TEXT] ID...
                                    end jobs that are queued or converting; their owners are mailed, with the text
  gateway dead list [--limit N]     messages that were given up on, the oldest of each queue first
  gateway dead replay ID...|--all   send them to their queue once more
  gateway dead discard ID...|--all  remove them
  gateway gc [--dry-run] [--older-than 24h]
                                    remove, or with --dry-run only name, what the sweeper would remove now, and chunks of
                                    files that nobody has finished, knows of, or has added to within that time

  gateway rights                    give each service its user and role in MongoDB, once that is there

They read the environment of the service, and of it MONGODB_URI, RABBITMQ_URL, the queues' names and type, and the times of
jobs; rights has its own: MONGODB_URI, an administrator's MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD, and what
the users shall have: GATEWAY_PASSWORD, CONVERTER_PASSWORD, NOTIFICATION_PASSWORD.
Files that others have stored, and that no job names, are never removed.
`

// misuse is a mistake on the command line.
func misuse(text string) error { return errors.New(text + "\n\n" + usage) }

// desk is what an operator's command works with.
type desk struct {
	*backend.Backend
	out io.Writer
}

func (d desk) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// operate runs a sub-command. It connects to nothing before the arguments are good.
func operate(ctx context.Context, args []string, out io.Writer, environ []string) error {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		_, err = io.WriteString(out, usage)
		return err
	}
	if err != nil {
		return err
	}
	if o.alone != nil {
		return o.alone(ctx, out, environ)
	}
	cfg, err := settings.Load[backend.Settings](environ)
	if err != nil {
		return fmt.Errorf("gateway %s: mend the environment:\n%w", o.name, err)
	}
	b, err := backend.Connect("gateway "+o.name, cfg, 0, nil, nil)
	if err != nil {
		return err
	}
	defer b.Close()
	return o.run(ctx, desk{b, out}, o)
}

// each does the same with several, and goes on after a failure.
func each(ctx context.Context, ids []string, do func(id string) error) error {
	var failures []error
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(failures, err)...)
		}
		if err := do(id); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}
