package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
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

const (
	firstFile = 3 // behind standard input, output and error
	maxFiles  = 8
	// controlFD is the socket by which the parent says what to do, and is told what failed.
	controlFD = firstFile + maxFiles
	maxWords  = 128 << 10 // of the parent's; Linux takes no longer argument either
)

// Enter does not return in a process that Command has started. It must be the first line of main.
func Enter() {
	if os.Args[0] != name {
		entered.Store(true)
		return
	}
	runtime.LockOSThread() // what follows is a thread's own, and the thread that calls exec is the one that stays
	err := beReady()
	if err == nil {
		err = obey()
	}
	_, _ = unix.Write(controlFD, []byte(err.Error()))
	os.Exit(failed)
}

// beReady does what needs no word of the parent's.
func beReady() error {
	for _, step := range []step{
		{"die with the parent", func() error { return unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0) }},
		{"lower the priority", yield},
		{"learn to read", func() error { return json.Unmarshal([]byte(`{"Layers":1,"Libraries":[""]}`), new(spec)) }}, // half of what obey takes
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.says, err)
		}
	}
	return nil
}

// obey waits for the parent's word and does it. It returns only if it fails, or if there is no word: nobody is needed.
func obey() error {
	words, rights := make([]byte, maxWords), make([]byte, unix.CmsgSpace(4*maxFiles))
	n, r, _, _, err := unix.Recvmsg(controlFD, words, rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	var files []int
	messages, err := unix.ParseSocketControlMessage(rights[:r])
	for i := range messages {
		if err == nil {
			files, err = unix.ParseUnixRights(&messages[i])
		}
	}
	if err != nil {
		return fmt.Errorf("take the files: %w", err)
	}
	args := strings.Split(string(words[:n]), "\x00")
	var s spec
	if err := json.Unmarshal([]byte(args[0]), &s); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return s.become(files, args[1:])
}

// failed is the exit status where the program could not be started; a shell's.
const failed = 126

// step is one thing that is done on the way; what it says stands before its error.
type step struct {
	says string
	do   func() error
}

// become returns only if it fails.
func (s spec) become(files []int, args []string) error {
	var program int
	var ground *landlock
	for _, step := range []step{
		{"die with the parent", s.hasParent},
		{"open the files", func() error { return s.open(files) }},
		{"close descriptors", s.closeOthers},
		{"give up privileges", unprivileged}, // of which root may need some to open the files
		{"open " + s.Program, func() (err error) { program, err = s.openProgram(); return err }},
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

// hasParent makes sure that the parent lives: it may have died before this thread asked to die with it, and what it had asked
// for itself was for the thread that the process began as.
func (s spec) hasParent() error {
	if os.Getppid() != s.Parent {
		return errors.New("it is dead")
	}
	return nil
}

// closeOthers has all descriptors close at exec but the standard ones and the files: what whoever started our parent has
// left open is none of the program's business.
func (s spec) closeOthers() error {
	first := firstFile + s.Reads + s.Writes
	for fd := first; fd <= controlFD; fd++ {
		unix.CloseOnExec(fd)
	}
	err := unix.CloseRange(uint(first), ^uint(0)>>33, unix.CLOSE_RANGE_CLOEXEC)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // before Linux 5.11, or a container of then; the parent opens nothing that stays open
		return nil
	}
	return err
}

// open opens the files once more, where the program expects them: so it gets nothing beyond what is granted. Scratch files
// are open for both.
func (s spec) open(files []int) error {
	if len(files) != s.Reads+s.Writes {
		return fmt.Errorf("%d of %d", len(files), s.Reads+s.Writes)
	}
	for i, from := range files {
		fd, mode := firstFile+i, unix.O_RDONLY
		if i >= s.Reads {
			mode = unix.O_WRONLY
		}
		fresh, err := unix.Open("/proc/self/fd/"+strconv.Itoa(from), mode|unix.O_CLOEXEC, 0)
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

// openProgram returns the program's descriptor, by a number that no file can have once Files is the limit.
func (s spec) openProgram() (int, error) {
	fd, err := unix.Open(s.Program, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, max(s.Files, controlFD+1))
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
