// Command hostile is what a file may have made of ffmpeg. It makes one attack and tells how it went: exit status 0 if it did,
// else 1 and the kernel's word. It calls the kernel directly, so that it is the kernel that answers and not Go.
package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	if os.Args[1] == "mark" { // what an exec leads to
		fmt.Println("done")
		return
	}
	attack, ok := attacks[os.Args[1]]
	if !ok {
		fmt.Println("no such attack")
		os.Exit(3)
	}
	if err := attack(); err != nil {
		if e, ok := err.(syscall.Errno); ok {
			err = fmt.Errorf("%s", unix.ErrnoName(e))
		}
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("done")
}

// The arguments behind the attack's name.
var (
	file    = func() string { return os.Args[2] } // that anybody may read, and whose owner we are
	folder  = func() string { return os.Args[3] } // that anybody may write to
	address = func() string { return os.Args[4] } // of a server, TCP and UDP
	socket  = func() string { return os.Args[5] } // abstract, of a server
	victim  = func() int { return number(os.Args[6]) }
	program = func() string { return os.Args[7] } // our own
	attacks = map[string]func() error{
		"read a file":               func() error { return opens(file(), unix.O_RDONLY) },
		"list a folder":             func() error { return opens(folder(), unix.O_RDONLY|unix.O_DIRECTORY) },
		"ask whether a file exists": func() error { return unix.Stat(file(), new(unix.Stat_t)) },
		"write a file":              func() error { return opens(folder()+"/new", unix.O_WRONLY|unix.O_CREAT) },
		"overwrite a file":          func() error { return opens(file(), unix.O_WRONLY) },
		"truncate a file":           func() error { return unix.Truncate(file(), 0) },
		"remove a file":             func() error { return unix.Unlink(file()) },
		"change a file's mode":      func() error { return unix.Chmod(file(), 0o777) },
		"write to the input":        func() error { _, err := unix.Write(3, []byte("ours")); return err },
		"reopen the input to write": func() error { return opens("/dev/fd/3", unix.O_WRONLY) },
		"connect by TCP":            func() error { return connect(unix.AF_INET, unix.SOCK_STREAM, internet()) },
		"send by UDP":               func() error { return connect(unix.AF_INET, unix.SOCK_DGRAM, internet()) },
		"connect to an abstract socket": func() error {
			return connect(unix.AF_UNIX, unix.SOCK_STREAM, &unix.SockaddrUnix{Name: "@" + socket()})
		},
		"ptrace another process": func() error { return call(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(victim()), 0, 0) },
		"read another process's memory": func() error {
			here, there := make([]byte, 1), unix.RemoteIovec{Base: 0x400000, Len: 1}
			_, err := unix.ProcessVMReadv(victim(), []unix.Iovec{{Base: &here[0], Len: 1}}, []unix.RemoteIovec{there}, 0)
			if err == unix.EFAULT { // nothing is there; we were let look
				return nil
			}
			return err
		},
		"read another's environment": environment,
		"signal another process":     func() error { return unix.Kill(victim(), unix.SIGCONT) },
		"exec another program":       func() error { return unix.Exec("/bin/true", []string{"true"}, nil) },
		"exec itself again":          func() error { return unix.Exec(program(), []string{"hostile", "mark"}, nil) },
		"exec by the descriptor":     again,
		"memfd and exec":             memfd,
		"fork bomb":                  forks,
		"thread bomb":                threads,
		"use too much memory":        memory,
		"write a huge file":          huge,
		"use the CPU for ever":       burn,
		"open many files":            many,
		"io_uring": func() error {
			return call(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(new([128]byte))), 0, 0)
		},
		"user namespace":  func() error { return fork(unix.CLONE_NEWUSER | uintptr(unix.SIGCHLD)) },
		"keyring":         func() error { _, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, true); return err },
		"userfaultfd":     func() error { return call(unix.SYS_USERFAULTFD, 1, 0, 0, 0) },
		"see what it has": sees,
	}
)

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

func call(number, a, b, c, d uintptr) error {
	if _, _, e := unix.RawSyscall6(number, a, b, c, d, 0, 0); e != 0 {
		return e
	}
	return nil
}

func opens(path string, how int) error {
	_, err := unix.Open(path, how, 0o600)
	return err
}

func internet() unix.Sockaddr {
	at, err := net.ResolveTCPAddr("tcp", address())
	if err != nil {
		panic(err)
	}
	return &unix.SockaddrInet4{Port: at.Port, Addr: [4]byte(at.IP.To4())}
}

func connect(family, kind int, to unix.Sockaddr) error {
	fd, err := unix.Socket(family, kind, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, to); err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte("secret"))
	return err
}

func environment() error {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/environ", victim()), unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	_, err = unix.Read(fd, make([]byte, 100))
	return err
}

// again takes the way that the sandbox itself has taken, with a file of its own choice under the same number.
func again() error {
	fd, err := unix.Open(program(), unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	for number := range 2000 {
		if number > 4 && unix.Dup2(fd, number) == nil {
			err = execveat(number)
		}
	}
	return err
}

func execveat(fd int) error {
	argv, _ := syscall.SlicePtrFromStrings([]string{"hostile", "mark"})
	_, _, e := unix.Syscall6(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(new([1]byte))), uintptr(unsafe.Pointer(&argv[0])), 0, unix.AT_EMPTY_PATH, 0)
	return e
}

func memfd() error {
	fd, err := unix.MemfdCreate("hostile", 0)
	if err != nil {
		return err
	}
	own, err := os.ReadFile(program())
	if err != nil { // it may not read what it is: then something else
		own = []byte("no program")
	}
	for len(own) > 0 {
		n, err := unix.Write(fd, own)
		if err != nil {
			return err
		}
		own = own[n:]
	}
	read, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	unix.Close(fd)
	return execveat(read)
}

// fork makes a process that waits to be killed.
func fork(flags uintptr) error {
	child, _, e := unix.RawSyscall6(unix.SYS_CLONE, flags, 0, 0, 0, 0, 0)
	if e != 0 {
		return e
	}
	if child == 0 {
		for {
			_, _, _ = unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
		}
	}
	return nil
}

func forks() error {
	for range 200 {
		if err := fork(uintptr(unix.SIGCHLD)); err != nil {
			return err
		}
	}
	return nil
}

// threads makes as many, if Go does not fall over that.
func threads() error {
	begun := make(chan bool)
	for range 200 {
		go func() {
			runtime.LockOSThread()
			begun <- true
			for { // in the way that has Go make another thread
				_, _, _ = unix.Syscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
			}
		}()
		<-begun
	}
	return nil
}

func memory() error {
	const size = 4 << 30
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err == nil {
		b[size-1] = 1
	}
	return err
}

func huge() error {
	const size = 64 << 20
	_, err := unix.Pwrite(4, []byte("far away"), size)
	return err
}

func burn() error {
	for {
		var used unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
			return err
		}
		if used.Utime.Nano()+used.Stime.Nano() > 1_500_000_000 {
			return nil
		}
	}
}

func many() error {
	for range 200 {
		if _, err := unix.Dup(0); err != nil {
			return err
		}
	}
	return nil
}

// sees prints the descriptors and the environment.
func sees() error {
	var open []int // counted before Go opens some to print
	for fd := range 1000 {
		is := make([]byte, 100)
		n, err := unix.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd), is)
		if err == nil && !strings.HasPrefix(string(is[:n]), "/sys/fs/cgroup/") { // which are Go's too
			open = append(open, fd)
		}
	}
	fmt.Println(open, os.Environ())
	status, err := os.ReadFile("/proc/self/status")
	fmt.Printf("%s", status)
	return err
}
