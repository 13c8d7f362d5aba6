// Package testserver starts the real servers that tests talk to, each once per test process, on free loopback ports with
// its data in a temporary folder. No server outlives the process, whatever ends it; folders in /tmp do when it is killed.
// It is for tests only.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { testserver.Main(m) }
package testserver

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Main runs the tests, stops the servers they started, removes their data, does whatever else the package wants done
// then, and exits.
func Main(m *testing.M, then ...func()) {
	code := m.Run()
	stopAll()
	for _, f := range then {
		f()
	}
	os.Exit(code)
}

var running struct {
	sync.Mutex
	stops []func()
}

func stopAll() {
	running.Lock()
	defer running.Unlock()
	for _, stop := range running.stops {
		stop()
	}
	running.stops = nil
}

// Server is a process that serves on a port of 127.0.0.1. A test that kills it starts its own with Start.
type Server struct {
	Addr string // host:port
	Dir  string // its data
	cmd  *exec.Cmd
	done chan struct{}
}

// spec says how to run a server. The command is made anew at each start, over the same data and port.
type spec struct {
	name    string
	install string // what to install where the program is missing
	prepare func(dir string) error
	command func(dir, addr string) *exec.Cmd
	ready   func(addr string) error // nil once it serves
}

// startTime is how long a server may take to start, on a busy machine.
const startTime = 2 * time.Minute

// FreeAddr returns an address of 127.0.0.1 that nobody listens on. The kernel hands out higher ports, so nobody's connection
// takes it while its server is down for a while.
func FreeAddr() (string, error) {
	const lowest, beyond, tries = 10_000, 30_000, 100
	for range tries {
		addr := fmt.Sprintf("127.0.0.1:%d", lowest+rand.N(beyond-lowest))
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", fmt.Errorf("no free port from %d to %d after %d tries", lowest, beyond-1, tries)
}

func start(s spec) (*Server, error) {
	dir, err := os.MkdirTemp("", "mp3c-"+s.name+"-")
	if err != nil {
		return nil, err
	}
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	if s.prepare != nil {
		if err := s.prepare(dir); err != nil {
			return nil, fmt.Errorf("prepare %s (%s): %w", s.name, s.install, err)
		}
	}
	server := &Server{Addr: addr, Dir: dir}
	running.Lock()
	running.stops = append(running.stops, func() { server.Kill(); os.RemoveAll(dir) })
	running.Unlock()
	return server, server.run(s)
}

// run starts the process and waits until it serves.
func (s *Server) run(sp spec) error {
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := sp.command(s.Dir, s.Addr)
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	if cmd.Stderr == nil {
		cmd.Stderr = log
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Pdeathsig = true, syscall.SIGKILL
	started := make(chan error)
	s.cmd, s.done = cmd, make(chan struct{})
	go func() {
		runtime.LockOSThread() // Pdeathsig fires when the starting thread ends, so it must live as long as the server
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(s.done)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s (%s): %w", sp.name, sp.install, err)
	}
	for deadline := time.Now().Add(startTime); ; time.Sleep(50 * time.Millisecond) {
		err := sp.ready(s.Addr)
		if err == nil {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("%s ended at start: %s", sp.name, s.tail())
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not serve after %v: %w: %s", sp.name, startTime, err, s.tail())
		}
	}
}

// Pid is the number of the server's process.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Signal sends a signal to the server and its children.
func (s *Server) Signal(sig syscall.Signal) { _ = syscall.Kill(-s.cmd.Process.Pid, sig) }

// Freeze stops the server as it is: it still accepts connections and never answers. The test's end thaws it at the latest.
func (s *Server) Freeze(tb testing.TB) (thaw func()) {
	tb.Helper()
	return Freeze(tb, -s.cmd.Process.Pid)
}

// Kill ends the server as kill -9 does and waits for it.
func (s *Server) Kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	select {
	case <-s.done: // its number may be another's by now
		return
	default:
	}
	s.Signal(syscall.SIGKILL)
	<-s.done
}

func (s *Server) tail() string {
	log, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
	return string(log[max(0, len(log)-2000):])
}

// listening is the simplest ready: somebody accepts connections.
func listening(addr string) error {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}
