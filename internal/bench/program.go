package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"mp3converter/internal/testserver"
)

const (
	readyTime = 30 * time.Second
	stopTime  = 15 * time.Second
	often     = 50 * time.Millisecond
)

// program is one of ours, running.
type program struct {
	name  string
	pid   int
	log   string // file of its standard error
	ops   string // URL of its probes
	cmd   *exec.Cmd
	ended chan struct{}
}

// run starts a program with nothing in its environment but what is given, and waits until it says that it is ready.
func (b *bench) run(ctx context.Context, name string, environ ...string) (*program, error) {
	ops, err := testserver.FreeAddr()
	if err != nil {
		return nil, err
	}
	log, err := os.CreateTemp(b.dir, name+"-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(b.programs, name))
	cmd.Env = append(environ, "OPS_LISTEN="+ops, "DRAIN_SECONDS=0", "PATH="+os.Getenv("PATH"))
	cmd.Stderr = log
	p := &program{name: name, log: log.Name(), ops: "http://" + ops, cmd: cmd, ended: make(chan struct{})}
	if err := p.start(); err != nil {
		return nil, err
	}
	probe := "/readyz"
	if name == "mp3converter" { // runs without an ffmpeg, and so is never ready; its user waits for the rest
		probe = "/livez"
	}
	if err := p.ready(ctx, p.ops+probe); err != nil {
		p.stop()
		return nil, fmt.Errorf("%s: %w: %s", name, err, p.said())
	}
	return p, nil
}

// start starts the program so that it ends with us, whatever ends us.
func (p *program) start() error {
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig fires when the thread ends that started the child
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
		close(p.ended)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.pid = p.cmd.Process.Pid
	return nil
}

// ready polls until the program is.
func (p *program) ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTime, fmt.Errorf("not ready after %v", readyTime))
	defer cancel()
	return poll(ctx, often, func() (bool, error) {
		select {
		case <-p.ended:
			return false, errors.New("ended at start")
		default:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, nil //nolint:nilerr // does not listen yet
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK, nil
	})
}

// stop ends the program, by force if it does not hear.
func (p *program) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(stopTime):
		_ = syscall.Kill(-p.pid, syscall.SIGKILL)
		<-p.ended
	}
}

// said is the end of the program's log, without what went well.
func (p *program) said() string {
	const most = 5
	log, _ := os.ReadFile(p.log)
	var lines []string
	for line := range strings.Lines(string(log)) {
		if !strings.Contains(line, `"level":"INFO"`) || strings.Contains(line, `"err":`) {
			lines = append(lines, line)
		}
	}
	return strings.TrimSpace(strings.Join(lines[max(0, len(lines)-most):], ""))
}

// poll asks every so often until done, an error, or the end of ctx.
func poll(ctx context.Context, every time.Duration, ask func() (done bool, err error)) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if done, err := ask(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}
