package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"mp3converter/internal/auth"
)

// minPassword is in characters: OWASP ASVS 6.2.1. Passwords from before stay as they are.
const minPassword = 8

// console is where a command reads and writes.
type console struct {
	in     io.Reader // passwords; a terminal is asked for them
	out    io.Writer // results
	prompt io.Writer // questions, so that they do not end up among the results
}

// hash reads a new password and returns its hash.
func (c console) hash(ctx context.Context) (string, error) {
	password, err := c.password(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return "", fmt.Errorf("the password has fewer than %d characters", minPassword)
	case len(password) > auth.MaxPassword:
		return "", fmt.Errorf("the password has more than %d bytes", auth.MaxPassword)
	}
	return auth.Hash(password), nil
}

func (c console) password(ctx context.Context) (string, error) {
	if f, ok := c.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return c.typed(ctx, int(f.Fd()))
	}
	return piped(c.in)
}

// piped reads the password as the one line that there is.
func piped(in io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(in, auth.MaxPassword+3)) // and a line end, and one byte to see that it is too long
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	switch {
	case line == "":
		return "", errors.New("no password on standard input")
	case strings.Contains(line, "\n"):
		return "", errors.New("more than one line on standard input; the password is one")
	}
	return line, nil
}

// typed asks twice, so that a slip of the finger locks nobody out.
func (c console) typed(ctx context.Context, terminal int) (string, error) {
	first, err := c.ask(ctx, terminal, "New password: ")
	if err != nil {
		return "", err
	}
	second, err := c.ask(ctx, terminal, "Again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ")
	}
	return first, nil
}

// ask reads a line that the terminal does not show. Whatever ends it, ctx by a signal too, the terminal shows again what
// is typed.
func (c console) ask(ctx context.Context, terminal int, question string) (string, error) {
	state, err := term.GetState(terminal)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	fmt.Fprint(c.prompt, question)
	defer fmt.Fprintln(c.prompt) // the terminal did not show the line's end either

	type answer struct {
		line []byte
		err  error
	}
	answered := make(chan answer, 1)
	go func() { // nothing ends a read of a terminal: if ctx does not wait for it, the process's end will
		line, err := term.ReadPassword(terminal)
		answered <- answer{line, err}
	}()
	select {
	case a := <-answered:
		if a.err != nil {
			return "", fmt.Errorf("read password: %w", a.err)
		}
		return string(a.line), nil
	case <-ctx.Done():
		return "", errors.Join(context.Cause(ctx), term.Restore(terminal, state))
	}
}
