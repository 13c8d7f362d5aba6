package sandbox

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// always may be called with any arguments: files (Landlock says which), memory, threads' locks, time, and what asks for
// nothing but oneself. A call in neither list does not exist, as in a kernel without it (ENOSYS): libraries have a way
// around what is missing, and none around what is forbidden, or around being killed for asking.
var always = append([]uintptr{
	unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PREAD64, unix.SYS_PWRITE64, unix.SYS_LSEEK,
	unix.SYS_OPENAT, unix.SYS_CLOSE, unix.SYS_FSTAT, unix.SYS_NEWFSTATAT, unix.SYS_STATX, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2,
	unix.SYS_READLINKAT, unix.SYS_GETDENTS64, unix.SYS_GETCWD, unix.SYS_DUP, unix.SYS_DUP3, unix.SYS_FTRUNCATE, unix.SYS_FADVISE64,
	unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_PPOLL, unix.SYS_PSELECT6,
	unix.SYS_MMAP, unix.SYS_MPROTECT, unix.SYS_MUNMAP, unix.SYS_MREMAP, unix.SYS_MADVISE, unix.SYS_BRK,
	unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK, unix.SYS_RESTART_SYSCALL,
	unix.SYS_FUTEX, unix.SYS_SET_ROBUST_LIST, unix.SYS_GET_ROBUST_LIST, unix.SYS_RSEQ, unix.SYS_SET_TID_ADDRESS, unix.SYS_MEMBARRIER,
	unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_GETCPU,
	unix.SYS_GETPID, unix.SYS_GETPPID, unix.SYS_GETTID, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID,
	unix.SYS_GETRLIMIT, unix.SYS_GETRUSAGE, unix.SYS_TIMES, unix.SYS_SYSINFO, unix.SYS_UNAME, unix.SYS_GETRANDOM,
	unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_GETRES, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_NANOSLEEP, unix.SYS_GETTIMEOFDAY,
	unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
}, alwaysHere...)

// rule allows a call if its arguments are right; with others it fails with EPERM, unless another rule allows them.
type rule struct {
	call uintptr
	args []arg
}

// arg is an argument of which the masked bits have the value.
type arg struct {
	n           int
	mask, value uint64
}

const (
	whole = ^uint64(0)
	word  = 1<<32 - 1 // of an int the kernel looks at no more
)

// rules are for the process, and for the exec that makes it the program: of that descriptor, which closes by it, and whose
// number is beyond the limit from then on.
func rules(pid, program int) []rule {
	self := arg{0, word, uint64(pid)} //nolint:gosec // not negative
	list := []rule{
		{unix.SYS_EXECVEAT, []arg{{0, word, uint64(program)}, {4, word, unix.AT_EMPTY_PATH}}}, //nolint:gosec // not negative
		{unix.SYS_CLONE, []arg{{0, unix.CLONE_THREAD, unix.CLONE_THREAD}}},
		{unix.SYS_PRLIMIT64, []arg{{2, whole, 0}}}, // asks only
		{unix.SYS_PRCTL, []arg{{0, word, unix.PR_SET_NAME}}},
		{unix.SYS_KILL, []arg{self}},
		{unix.SYS_TGKILL, []arg{self}},
	}
	for _, command := range []uint64{unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL, unix.F_DUPFD, unix.F_DUPFD_CLOEXEC} {
		list = append(list, rule{unix.SYS_FCNTL, []arg{{1, word, command}}}) // no F_SETOWN, which sends signals
	}
	return list
}

// hasSeccomp reports whether the kernel takes filters that answer with an error.
func hasSeccomp() bool {
	action := uint32(unix.SECCOMP_RET_ERRNO)
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return e == 0
}

// Where the kernel's struct seccomp_data has what.
const (
	numberAt = 0
	archAt   = 4
	argsAt   = 16
)

// assemble writes the filter: a program for the kernel's classic BPF, of jumps over what follows.
func assemble(list []rule) *unix.SockFprog {
	// Calls of another architecture have other numbers: who makes one is up to something.
	p := []unix.SockFilter{load(archAt), when(arch, 1), answer(unix.SECCOMP_RET_KILL_PROCESS), load(numberAt)}
	for _, call := range always {
		p = append(p, unless(uint32(call), 1), answer(unix.SECCOMP_RET_ALLOW)) //nolint:gosec // a call's number
	}
	for _, r := range list {
		block := []unix.SockFilter{answer(unix.SECCOMP_RET_ALLOW), load(numberAt)}
		for _, a := range slices.Backward(r.args) {
			for half := range 2 {
				mask, value := uint32(a.mask>>(32*half)), uint32(a.value>>(32*half)) //nolint:gosec // the very half
				if mask == 0 {
					continue
				}
				at := argsAt + 8*a.n + 4*half
				if bigEndian {
					at ^= 4
				}
				block = append([]unix.SockFilter{load(at), and(mask), unless(value, len(block)-1)}, block...)
			}
		}
		p = append(append(p, unless(uint32(r.call), len(block))), block...) //nolint:gosec // a call's number
	}
	for _, r := range list {
		p = append(p, unless(uint32(r.call), 1), answer(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM))) //nolint:gosec // a call's number
	}
	p = append(p, answer(unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS)))
	return &unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]} //nolint:gosec // some hundred
}

var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

func load(at int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: uint32(at)} //nolint:gosec // below 64
}

func and(mask uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: mask}
}

// unless goes on behind the next so many instructions, unless what is loaded is the value.
func unless(value uint32, skip int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: uint8(skip), K: value} //nolint:gosec // a few
}

// when goes on behind the next so many instructions if what is loaded is the value.
func when(value uint32, skip int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(skip), K: value} //nolint:gosec // a few
}

func answer(with uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: with}
}
