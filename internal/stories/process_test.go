package stories

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

	"mp3converter/internal/testserver"
)

// process is one of our programs, running. It ends with the test, by SIGTERM, and must end well.
type process struct {
	name string
	cmd  *exec.Cmd
	file string // what it writes
	done chan struct{}
	err  error // how it ended; valid once done is closed
}

// start runs a program in an environment of nothing but PATH and env, and returns once it obeys signals.
func start(t *testing.T, name string, env []string, args ...string) *process {
	t.Helper()
	p := &process{name: name, done: make(chan struct{}), file: filepath.Join(t.TempDir(), name+".log")}
	file, err := os.Create(p.file)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p.cmd = exec.Command(program(t, name), args...)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), quickEnd}, env...)
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
	p.serving(t, "ops")
	return p
}

// quickEnd keeps the race detector from sleeping for a second before a program's end.
const quickEnd = "GORACE=atexit_sleep_ms=0"

// tidy ends what still runs, looks for what no program may ever write, and shows the log of a failed test.
func (p *process) tidy(t *testing.T) {
	defer p.kill()
	if !p.ended() {
		p.stop(t)
	}
	log := p.output()
	for line := range strings.Lines(log) {
		if strings.Contains(line, "DATA RACE") || strings.HasPrefix(line, "panic:") || strings.Contains(line, `"stack":`) {
			t.Errorf("%s: %s", p.name, line)
		}
	}
	for _, secret := range []string{jwtSecret, mailPassword, password, testserver.MySQLPassword, "guest:guest", "eyJ"} { // the last begins every token
		if strings.Contains(log, secret) {
			t.Errorf("%s has written %q", p.name, secret)
		}
	}
	if t.Failed() {
		const most = 32 << 10
		t.Logf("%s wrote:\n%s", p.name, log[max(0, len(log)-most):])
	}
}

// troubles returns the lines of the log that no program writes while nothing is wrong.
func (p *process) troubles() (lines []string) {
	for line := range strings.Lines(p.output()) {
		for _, trouble := range []string{`"level":"ERROR"`, `"result":"postponed"`, `"result":"crashed"`, `"result":"later"`, `"result":"lost"`} {
			if strings.Contains(line, trouble) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// stop ends the program as an orchestrator does: it must leave by itself, with status 0.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.signal(syscall.SIGTERM)
	eventually(t, p.name+" ends after SIGTERM", p.ended)
	if p.err != nil {
		t.Errorf("%s ended with %v after SIGTERM, want status 0", p.name, p.err)
	}
}

// kill ends the program as kill -9 does.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

func (p *process) signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) output() string {
	text, _ := os.ReadFile(p.file)
	return string(text)
}

// serving returns host:port of one of the program's servers, as its log says.
func (p *process) serving(t *testing.T, server string) string {
	t.Helper()
	return awaited(t, p.name+" serves "+server, func() (string, bool) {
		if p.ended() {
			t.Fatalf("%s ended: %v", p.name, p.err)
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

// ready returns what the program's /readyz answers.
func (p *process) ready(t *testing.T) answer {
	t.Helper()
	return send(t, request{base: "http://" + p.serving(t, "ops"), path: "/readyz"})
}
