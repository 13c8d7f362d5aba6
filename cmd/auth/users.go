package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"text/tabwriter"

	"mp3converter/internal/auth"
	"mp3converter/internal/job"
	"mp3converter/internal/user"
)

const usersUsage = `usage:
  auth user add [--admin=false] E-MAIL   a new user; with --admin=false one who may not convert yet
  auth user passwd E-MAIL                another password; all tokens given out before end
  auth user list                         who may log in
  auth user delete E-MAIL                all tokens given out end
  auth hash                              the Argon2id hash of a password, as the user table holds it

A password is asked for, or read from standard input when that is no terminal. It is never an argument: arguments are in
the shell's history and in the list of processes. The user table is found by the MYSQL_ variables; auth hash needs none.
The services know within two seconds that tokens have ended. Rows that are changed by SQL end none.
`

// users is the user table, open until closed.
type users interface {
	Add(ctx context.Context, u user.User) error
	SetPassword(ctx context.Context, email, hash string) error
	List(ctx context.Context) ([]user.User, error)
	Delete(ctx context.Context, email string) error
	Close() error
}

// misuse is a mistake on the command line.
func misuse(text string) error { return errors.New(text + "\n\n" + usersUsage) }

// usersCommand runs `auth user …` or `auth hash`. It opens the store only once the arguments and the password are good.
func usersCommand(ctx context.Context, args []string, in io.Reader, out io.Writer, open func() (users, error)) error {
	c := console{in: in, out: out, prompt: os.Stderr}
	if args[0] == "hash" {
		return hashCommand(ctx, args[1:], c)
	}
	if len(args) < 2 {
		return misuse("auth user: which command?")
	}
	line, err := parseUserLine(args[1], args[2:])
	if errors.Is(err, flag.ErrHelp) {
		_, err = io.WriteString(out, usersUsage)
		return err
	}
	if err != nil {
		return err
	}
	var hash string
	if line.command == "add" || line.command == "passwd" {
		if hash, err = c.hash(ctx); err != nil {
			return err
		}
	}
	store, err := open()
	if err != nil {
		return err
	}
	return errors.Join(line.run(ctx, out, store, hash), store.Close())
}

func hashCommand(ctx context.Context, args []string, c console) error {
	switch {
	case len(args) > 0 && isHelp(args[0]):
		_, err := io.WriteString(c.out, usersUsage)
		return err
	case len(args) > 0:
		return misuse("auth hash takes no argument")
	}
	hash, err := c.hash(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, hash)
	return err
}

// userLine is a command line after `auth user`.
type userLine struct {
	command, email string
	admin          bool
}

// addresses is how many each command takes.
var addresses = map[string]int{"add": 1, "passwd": 1, "delete": 1, "list": 0}

// parseUserLine accepts flags before and after the address. Arguments that it refuses it does not repeat: they may be a
// password.
func parseUserLine(command string, args []string) (userLine, error) {
	line := userLine{command: command}
	wanted, known := addresses[command]
	switch {
	case isHelp(command):
		return line, flag.ErrHelp
	case !known:
		return line, misuse(fmt.Sprintf("auth user: there is no command %q", command))
	}
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	if command == "add" {
		flags.BoolVar(&line.admin, "admin", true, "")
	}
	words, err := split(flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return line, err
	case err != nil:
		return line, misuse("auth user " + command + ": an option that it does not have, or a value that the option cannot have")
	case len(words) > wanted:
		return line, misuse("auth user " + command + ": too many arguments; a password is no argument, it is asked for")
	case len(words) < wanted:
		return line, misuse("auth user " + command + ": whose e-mail address?")
	case wanted == 1:
		line.email = words[0]
	}
	if command == "add" { // the original may have let others in: those can still be deleted
		line.email = job.NormalAddress(line.email)
		if !job.IsAddress(line.email) {
			return line, misuse("auth user add: the argument is no e-mail address")
		}
	}
	return line, nil
}

func isHelp(arg string) bool {
	return arg == "help" || arg == "-h" || arg == "-help" || arg == "--help"
}

// split parses the flags wherever they stand and returns the other words.
func split(flags *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
			return words, err
		}
		words, args = append(words, flags.Arg(0)), flags.Args()[1:]
	}
}

func (l userLine) run(ctx context.Context, out io.Writer, store users, hash string) error {
	switch l.command {
	case "add":
		err := store.Add(ctx, user.User{Email: l.email, Password: hash, Admin: l.admin})
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already; for another password: auth user passwd %[1]s", l.email)
		}
		return l.done(out, "added", err)
	case "passwd":
		return l.done(out, "changed the password of", store.SetPassword(ctx, l.email, hash))
	case "delete":
		return l.done(out, "deleted", store.Delete(ctx, l.email))
	default:
		return list(ctx, out, store)
	}
}

func (l userLine) done(out io.Writer, what string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no user %s; addresses count to the letter, see: auth user list", l.email)
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(out, "%s %s\n", what, l.email)
	return err
}

func list(ctx context.Context, out io.Writer, store users) error {
	all, err := store.List(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "E-MAIL\tADMIN\tPASSWORD")
	for _, u := range all {
		password := "hashed"
		if !auth.Hashed(u.Password) {
			password = "plain text until the next login"
		}
		fmt.Fprintf(table, "%s\t%t\t%s\n", u.Email, u.Admin, password)
	}
	return table.Flush()
}
