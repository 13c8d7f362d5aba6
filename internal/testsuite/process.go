package testsuite

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"mp3converter/internal/testserver"
)

// Process is one of our programs, running. It ends with the test, by SIGTERM, and must end well.
type Process struct {
	Name string
	cmd  *exec.Cmd
	file string // what it writes
	done chan struct{}
	err  error // how it ended; valid once done is closed
}

// Start runs a program in an environment of nothing but PATH and env, and returns once it obeys signals.
func Start(t *testing.T, path string, env []string) *Process {
	t.Helper()
	p := Launch(t, path, env)
	p.Serving(t, "ops")
	return p
}

// Launch is Start without the waiting: for a program that may be killed before it serves.
func Launch(t *testing.T, path string, env []string) *Process {
	t.Helper()
	name := filepath.Base(path)
	p := &Process{Name: name, done: make(chan struct{}), file: filepath.Join(t.TempDir(), name+".log")}
	file, err := os.Create(p.file)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p.cmd = exec.Command(path)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), QuickEnd}, env...)
	p.cmd.Stdout, p.cmd.Stderr = file, file
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig fires when the starting thread ends
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.tidy(t) })
	return p
}

// Again runs the program that has ended once more, in the same environment.
func (p *Process) Again(t *testing.T) *Process {
	t.Helper()
	return Start(t, p.cmd.Path, p.cmd.Env[2:])
}

// Relaunch is Again without the waiting.
func (p *Process) Relaunch(t *testing.T) *Process {
	t.Helper()
	return Launch(t, p.cmd.Path, p.cmd.Env[2:])
}

// QuickEnd keeps the race detector from sleeping for a second before a program's end.
const QuickEnd = "GORACE=atexit_sleep_ms=0"

// tidy ends what still runs, looks for what no program may ever write, and shows the log of a failed test.
func (p *Process) tidy(t *testing.T) {
	defer p.Kill()
	if !p.Ended() {
		p.Stop(t)
	}
	log := p.output()
	for line := range strings.Lines(log) {
		if strings.Contains(line, "DATA RACE") || strings.HasPrefix(line, "panic:") || strings.Contains(line, `"stack":`) {
			t.Errorf("%s: %s", p.Name, line)
		}
	}
	for _, secret := range []string{JWTSecret, MailPassword, Password, testserver.MySQLPassword, "guest:guest", "eyJ"} { // the last begins every token
		if strings.Contains(log, secret) {
			t.Errorf("%s has written %q", p.Name, secret)
		}
	}
	if t.Failed() {
		const most = 32 << 10
		t.Logf("%s wrote:\n%s", p.Name, log[max(0, len(log)-most):])
	}
}

// Troubles returns the lines of the log that no program writes while nothing is wrong.
func (p *Process) Troubles() (lines []string) {
	for line := range strings.Lines(p.output()) {
		for _, trouble := range []string{`"level":"ERROR"`, `"result":"postponed"`, `"result":"crashed"`, `"result":"later"`, `"result":"lost"`} {
			if strings.Contains(line, trouble) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// IsHeldUp reports whether a line of the log is about a request that may have waited in vain. There is no text in it, but
// trouble that is answered with 503 is what web.Errors knows nothing of.
func IsHeldUp(line string) bool {
	var request struct {
		Status int
		Took   string
	}
	err := json.Unmarshal([]byte(line), &request)
	took, _ := time.ParseDuration(request.Took) // other lines have none
	return err == nil && heldUp(request.Status, took)
}

// Stop ends the program as an orchestrator does: it must leave by itself, with status 0.
func (p *Process) Stop(t *testing.T) {
	t.Helper()
	p.Tell()
	p.Ends(t)
}

// Tell asks the program to end, as an orchestrator does, and does not wait for it.
func (p *Process) Tell() { p.Signal(syscall.SIGTERM) }

// Ends waits for the end of a program that was told to, which must be with status 0.
func (p *Process) Ends(t *testing.T) {
	t.Helper()
	Eventually(t, p.Name+" ends after SIGTERM", p.Ended)
	if p.err != nil {
		t.Errorf("%s ended with %v after SIGTERM, want status 0", p.Name, p.err)
	}
}

// Freeze stops the program as it is: it still accepts connections and never answers. The test's end thaws it at the
// latest.
func (p *Process) Freeze(t *testing.T) (thaw func()) {
	t.Helper()
	return testserver.Freeze(t, p.PID())
}

// IsFrozen reports whether the program stands still, be it that it has stopped itself.
func (p *Process) IsFrozen() bool { return !p.Ended() && testserver.IsFrozen(p.PID()) }

// Kill ends the program as kill -9 does.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Signal sends the program a signal.
func (p *Process) Signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

// PID is the number by which the kernel knows the program.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Wrote reports whether the program's log holds the text.
func (p *Process) Wrote(text string) bool { return strings.Contains(p.output(), text) }

// Ended reports whether the program has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *Process) output() string {
	text, _ := os.ReadFile(p.file)
	return string(text)
}

// Serving returns host:port of one of the program's servers, as its log says.
func (p *Process) Serving(t testing.TB, server string) string {
	t.Helper()
	return Awaited(t, p.Name+" serves "+server, func() (string, bool) {
		if p.Ended() {
			t.Fatalf("%s ended: %v", p.Name, p.err)
		}
		var line struct{ Msg, Server, Addr string }
		for lines := bufio.NewScanner(strings.NewReader(p.output())); lines.Scan(); {
			if json.NewDecoder(bytes.NewReader(lines.Bytes())).Decode(&line) == nil && line.Msg == "serving" && line.Server == server {
				return line.Addr, true
			}
		}
		return "", false
	})
}

// Ready returns what the program's /readyz answers.
func (p *Process) Ready(t testing.TB) Answer {
	t.Helper()
	return Send(t, Request{Base: "http://" + p.Serving(t, "ops"), Path: "/readyz"})
}
