package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// name is what the command calls itself when it is to become another program.
const name = "mp3converter-sandbox"

// spec is what the command tells itself.
type spec struct {
	Jail
	Program   string
	Loader    string   // the ELF interpreter; "" for a static program
	Libraries []string // folders and files
	Parent    int
	Reads     int
	Writes    int
}

const firstFile = 3 // behind standard input, output and error

// status is the descriptor of the pipe that the parent listens to.
func (s spec) status() int { return firstFile + s.Reads + s.Writes }

// Enter does not return in a process that Command has started. It must be the first line of main.
func Enter() {
	if os.Args[0] != name || len(os.Args) < 2 {
		entered.Store(true)
		return
	}
	runtime.LockOSThread() // what follows is a thread's own, and the thread that calls exec is the one that stays
	var s spec
	if err := json.Unmarshal([]byte(os.Args[1]), &s); err != nil {
		os.Exit(failed)
	}
	err := s.become(os.Args[2:])
	_, _ = unix.Write(s.status(), []byte(err.Error()))
	os.Exit(failed)
}

// failed is the exit status where the program could not be started; a shell's.
const failed = 126

// step is one thing that is done on the way; what it says stands before its error.
type step struct {
	says string
	do   func() error
}

// become returns only if it fails.
func (s spec) become(args []string) error {
	var program int
	var ground *landlock
	for _, step := range []step{
		{"die with the parent", s.dieWithParent},
		{"close descriptors", s.closeOthers},
		{"open the files", s.reopen},
		{"lower the priority", yield},
		{"give up privileges", unprivileged},
		{"open " + s.Program, func() (err error) { program, err = s.open(); return err }},
		{"Landlock", func() (err error) { ground, err = s.landlock(program); return err }},
		{"Landlock", func() error { return ground.enforce() }},
		{"limits", s.limit},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.says, err)
		}
	}
	return s.exec(program, args)
}

// dieWithParent asks once more for what the parent has asked for: that was for the thread that the process began as.
func (s spec) dieWithParent() error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return err
	}
	if os.Getppid() != s.Parent {
		return errors.New("it is dead")
	}
	return nil
}

// closeOthers has all descriptors close at exec but the standard ones and the files: what whoever started our parent has
// left open is none of the program's business.
func (s spec) closeOthers() error {
	unix.CloseOnExec(s.status())
	err := unix.CloseRange(uint(s.status()), ^uint(0)>>33, unix.CLOSE_RANGE_CLOEXEC)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // before Linux 5.11, or a container of then; the parent opens nothing that stays open
		return nil
	}
	return err
}

// reopen takes from the descriptors what they can beyond what is granted: scratch files are open for both.
func (s spec) reopen() error {
	for i := range s.Reads + s.Writes {
		fd, mode := firstFile+i, unix.O_RDONLY
		if i >= s.Reads {
			mode = unix.O_WRONLY
		}
		fresh, err := unix.Open("/proc/self/fd/"+strconv.Itoa(fd), mode|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if err := unix.Dup3(fresh, fd, 0); err != nil {
			return err
		}
		_ = unix.Close(fresh)
	}
	return nil
}

const (
	niceness = 10  // uploads and downloads on the same machine come first
	oomScore = 500 // when memory runs out, the kernel takes this process and not the service
)

func yield() error {
	if fd, err := unix.Open("/proc/self/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil { // a wish: some containers have no such file
		_, _ = unix.Write(fd, []byte(strconv.Itoa(oomScore)))
		_ = unix.Close(fd)
	}
	return unix.Setpriority(unix.PRIO_PROCESS, 0, niceness)
}

// unprivileged gives up root's capabilities, where there are any, and that programs may bring some.
func unprivileged() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	none := [2]unix.CapUserData{}
	return unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0])
}

// open returns the program's descriptor, by a number that no file can have once Files is the limit.
func (s spec) open() (int, error) {
	fd, err := unix.Open(s.Program, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, max(s.Files, s.status()+1))
}

// exec sets what Go itself could not go on with, and becomes the program. It allocates nothing in between.
func (s spec) exec(program int, args []string) error {
	argv, err := syscall.SlicePtrFromStrings(append([]string{s.Program}, args...))
	if err != nil {
		return err
	}
	path, err := syscall.BytePtrFromString(s.Program)
	if err != nil {
		return err
	}
	var filter *unix.SockFprog
	if s.Layers.has(Seccomp) {
		filter = assemble(rules(os.Getpid(), program))
	}
	env := [1]*byte{}
	if s.Layers.has(Limits) {
		if err := lower(unix.RLIMIT_AS, s.Memory); err != nil {
			return fmt.Errorf("limits: %w", err)
		}
	}
	if filter == nil {
		_, _, e := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&env[0])))
		return fmt.Errorf("exec %s: %w", s.Program, e)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(filter))); e != 0 {
		return fmt.Errorf("seccomp: %w", e)
	}
	_, _, e := unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(program), uintptr(unsafe.Pointer(&empty[0])), uintptr(unsafe.Pointer(&argv[0])),
		uintptr(unsafe.Pointer(&env[0])), unix.AT_EMPTY_PATH, 0)
	return fmt.Errorf("exec %s: %w", s.Program, e)
}

var empty = [1]byte{}
