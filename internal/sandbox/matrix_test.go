package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// attack is one thing that a file might have ffmpeg do, and the layers that stop it without each other.
type attack struct {
	name      string
	stoppedBy Layers
	since     int  // version of Landlock, where it is younger than the layer
	always    bool // stopped with no layer at all
}

// What no layer stops is here too: it is what the sandbox is not for.
var attacks = []attack{
	{name: "read a file", stoppedBy: Landlock},
	{name: "list a folder", stoppedBy: Landlock},
	{name: "ask whether a file exists"},
	{name: "write a file", stoppedBy: Landlock},
	{name: "overwrite a file", stoppedBy: Landlock},
	{name: "truncate a file", stoppedBy: Landlock | Seccomp, since: 3},
	{name: "remove a file", stoppedBy: Landlock | Seccomp},
	{name: "change a file's mode", stoppedBy: Seccomp},
	{name: "write to the input", always: true},
	{name: "reopen the input to write", stoppedBy: Landlock},
	{name: "connect by TCP", stoppedBy: Landlock | Seccomp, since: 4},
	{name: "send by UDP", stoppedBy: Landlock | Seccomp, since: 10},
	{name: "connect to an abstract socket", stoppedBy: Landlock | Seccomp, since: 6},
	{name: "read another's environment", stoppedBy: Landlock},
	{name: "ptrace another process", stoppedBy: Landlock | Seccomp},
	{name: "read another process's memory", stoppedBy: Landlock | Seccomp},
	{name: "signal another process", stoppedBy: Landlock | Seccomp, since: 6},
	{name: "exec another program", stoppedBy: Landlock | Seccomp},
	{name: "exec itself again", stoppedBy: Seccomp},
	{name: "exec by the descriptor", stoppedBy: Seccomp},
	{name: "memfd and exec", stoppedBy: Seccomp},
	{name: "fork bomb", stoppedBy: Limits | Seccomp},
	{name: "thread bomb", stoppedBy: Limits},
	{name: "use too much memory", stoppedBy: Limits},
	{name: "write a huge file", stoppedBy: Limits},
	{name: "use the CPU for ever", stoppedBy: Limits},
	{name: "open many files", stoppedBy: Limits | Seccomp}, // whose "no exec" leans on the limit
	{name: "io_uring", stoppedBy: Seccomp},
	{name: "user namespace", stoppedBy: Seccomp},
	{name: "keyring", stoppedBy: Seccomp},
	{name: "userfaultfd", stoppedBy: Seccomp},
	{name: "32-bit calls", stoppedBy: Seccomp},
}

// stopped says whether these layers should stop the attack on this kernel.
func (a attack) stopped(layers Layers) bool {
	if a.since > landlockVersion() {
		layers &^= Landlock
	}
	return a.always || a.stoppedBy&layers != 0
}

// Each attack must succeed with the layers off that are said to stop it, or it would show nothing.
func TestMatrix(t *testing.T) {
	w := newWorld(t)
	columns := []Layers{0, Limits, Landlock, Seccomp, All}
	table := new(bytes.Buffer)
	out := tabwriter.NewWriter(table, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "attack\tno layer\tlimits alone\tLandlock alone\tseccomp alone\tall\n")
	for _, a := range attacks {
		if a.name == "32-bit calls" && runtime.GOARCH != "amd64" {
			continue
		}
		fmt.Fprint(out, a.name)
		for _, layers := range columns {
			if layers&^Available() != 0 {
				fmt.Fprint(out, "\tnot run")
				continue
			}
			w.restore(t)
			done, says := w.attack(t, layers, a.name)
			if !done == a.stopped(layers) {
				fmt.Fprint(out, "\t"+says)
				continue
			}
			fmt.Fprint(out, "\t!! "+says)
			t.Errorf("%s, with %q: %s, want it stopped: %v", a.name, layers, says, a.stopped(layers))
		}
		fmt.Fprintln(out)
	}
	out.Flush()
	t.Logf("Landlock is version %d\n%s", landlockVersion(), table)
	if err := Complete(); err != nil {
		t.Skipf("NOT ALL RUN: %v", err)
	}
}

// world is what an attacker finds around itself: files, servers and a process of its own user.
type world struct {
	program string
	uid     int
	dir     string // that anybody may write to
	file    string
	in, out *os.File
	tcp     string
	socket  string
	victim  int
	most    int // processes
}

// nobody is a user that no other process runs as, if there can be one: what a user runs is counted. Without root it is us.
func nobody() int {
	if os.Getuid() != 0 {
		return os.Getuid()
	}
	return 40_000 + os.Getpid()%20_000
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "sandbox-") // not below t.TempDir, where only we may go
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &world{uid: nobody(), dir: filepath.Join(dir, "open"), program: filepath.Join(dir, "hostile"), socket: filepath.Base(dir)}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", w.program, "./testdata/hostile")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=") // static: it needs no library, and little memory
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, path := range []string{dir, w.dir} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	w.in, w.out = w.scratch(t, dir, "in"), w.scratch(t, dir, "out")
	w.listen(t)
	w.suffer(t)
	w.most = running(t, w.uid) + 60
	return w
}

func (w *world) scratch(t *testing.T, dir, name string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name))
	if err == nil {
		err = f.Chown(w.uid, -1)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// restore makes the file that is not given to anybody, as it was.
func (w *world) restore(t *testing.T) {
	t.Helper()
	_ = os.RemoveAll(filepath.Join(w.dir, "new"))
	w.file = filepath.Join(w.dir, "secret")
	_ = os.Remove(w.file)
	w.scratch(t, w.dir, "secret").Close()
}

func (w *world) listen(t *testing.T) {
	t.Helper()
	for _, at := range [][2]string{{"tcp", "127.0.0.1:0"}, {"unix", "@" + w.socket}} {
		listener, err := new(net.ListenConfig).Listen(t.Context(), at[0], at[1])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		if at[0] == "tcp" {
			w.tcp = listener.Addr().String()
		}
	}
	packets, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", w.tcp) // by the same number
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { packets.Close() })
}

// suffer starts the process that is attacked, which our own may not be by another user.
func (w *world) suffer(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sleep", "600")
	cmd.Env = []string{"MONGODB_URI=secret"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(w.uid), Gid: uint32(w.uid), NoSetGroups: os.Getuid() != 0}}
	if os.Getuid() != 0 {
		cmd.SysProcAttr = nil
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.victim = cmd.Process.Pid
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// attack runs one, and says whether it succeeded, and in whose words it did not.
func (w *world) attack(t *testing.T, layers Layers, name string) (done bool, says string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	jail := Jail{Layers: layers, Memory: 2 << 30, CPU: time.Second, FileSize: 8 << 20, Files: 64, Processes: w.most}
	cmd, err := jail.Command(ctx, w.program, []string{name, w.file, w.dir, w.tcp, w.socket, strconv.Itoa(w.victim), w.program}, []*os.File{w.in}, []*os.File{w.out})
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(w.uid), Gid: uint32(w.uid)}
	}
	output := w.scratch(t, filepath.Dir(w.program), "output") // no pipe: children would hold it
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Begun(); err != nil {
		t.Fatalf("%s, with %q: %v", name, layers, err)
	}
	_ = cmd.Wait()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	for syscall.Kill(-cmd.Process.Pid, 0) == nil { // or they count with the next
		runtime.Gosched()
	}
	said, err := os.ReadFile(output.Name())
	if err != nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.Success(), outcome(cmd.ProcessState, string(said))
}

// outcome finds the few words that matter.
func outcome(state *os.ProcessState, said string) string {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return unix.SignalName(status.Signal())
	}
	for _, known := range []string{"SIGXCPU", "SIGXFSZ", "errno=11"} { // over which Go falls
		if strings.Contains(said, known) {
			return strings.Replace(known, "errno=11", "EAGAIN", 1)
		}
	}
	first, _, _ := strings.Cut(said, "\n")
	if state.Success() {
		return "succeeds"
	}
	return first
}

// running is how many threads a user has.
func running(t *testing.T, uid int) int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/[0-9]*/task/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, task := range tasks {
		if info, err := os.Stat(task); err == nil && int(info.Sys().(*syscall.Stat_t).Uid) == uid {
			n++
		}
	}
	return n
}
