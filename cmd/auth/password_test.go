package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// buffer may be read while it is written.
type buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func TestATerminalIsAskedTwiceAndShowsNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		second string
		want   string
	}{
		"the same twice": {"correct horse", ""},
		"a slip":         {"correct horde", "differ"},
		"nothing at all": {"", "differ"},
	} {
		t.Run(name, func(t *testing.T) {
			person, screen := terminal(t)
			var asked buffer
			shown := make(chan string)
			go func() {
				text, _ := io.ReadAll(person) // ends with EIO when the other side is closed
				shown <- string(text)
			}()
			read := make(chan error)
			var password string
			go func() {
				var err error
				password, err = console{in: screen, prompt: &asked}.password(t.Context())
				read <- err
			}()
			answer(t, person, screen, &asked, "New password: ", "correct horse")
			answer(t, person, screen, &asked, "Again: ", tt.second)
			err := <-read
			if tt.want == "" && (err != nil || password != "correct horse") {
				t.Errorf("password = %q, %v", password, err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("password = %q, %v, want an error with %q", password, err, tt.want)
			}
			if !echoes(t, screen) {
				t.Error("the terminal no longer shows what is typed")
			}
			screen.Close()
			if text := <-shown; strings.Contains(text, "correct") {
				t.Errorf("the terminal showed %q", text)
			}
		})
	}
}

func TestAnInterruptLeavesTheTerminalAsItWas(t *testing.T) {
	person, screen := terminal(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	errStop := errors.New("told to stop")
	var asked buffer
	read := make(chan error)
	go func() {
		_, err := console{in: screen, prompt: &asked}.password(ctx)
		read <- err
	}()
	until(t, "it is asked", func() bool { return strings.Contains(asked.String(), "New password: ") && !echoes(t, screen) })
	cancel(errStop)
	if err := <-read; !errors.Is(err, errStop) {
		t.Errorf("password = %v, want %v", err, errStop)
	}
	if !echoes(t, screen) {
		t.Error("the terminal no longer shows what is typed")
	}
	fmt.Fprintln(person) // ends the read that nobody waits for
}

// answer types a line once the question is on the screen and typing no longer is.
func answer(t *testing.T, person, screen *os.File, asked *buffer, question, line string) {
	t.Helper()
	until(t, question, func() bool { return strings.HasSuffix(asked.String(), question) && !echoes(t, screen) })
	if _, err := fmt.Fprintln(person, line); err != nil {
		t.Fatal(err)
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func echoes(t *testing.T, screen *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// terminal returns the two ends of a new one: the person's, and the program's.
func terminal(t *testing.T) (person, screen *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	return person, screen
}
