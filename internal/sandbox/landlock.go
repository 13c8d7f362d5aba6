package sandbox

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// landlock is a set of rules that is not in force yet.
type landlock struct {
	fd     int
	rights uint64 // to files, that this kernel knows
}

// landlockVersion is the kernel's, 0 if it has none or must not be asked.
func landlockVersion() int {
	version, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		return 0
	}
	return int(version)
}

// handled is everything that Landlock of this version can forbid. Each right is a bit, and a version adds the next ones.
func handled(version int) unix.LandlockRulesetAttr {
	var all unix.LandlockRulesetAttr
	for _, right := range []struct {
		since, bits int
		of          *uint64
	}{
		{1, 13, &all.Handled_access_fs}, {2, 14, &all.Handled_access_fs}, {3, 15, &all.Handled_access_fs}, {5, 16, &all.Handled_access_fs},
		{9, 17, &all.Handled_access_fs},                                   // sockets that have a path
		{4, 2, &all.Handled_access_net}, {10, 4, &all.Handled_access_net}, // TCP, UDP
		{6, 2, &all.Scoped}, // abstract sockets, signals
	} {
		if version >= right.since {
			*right.of = 1<<right.bits - 1
		}
	}
	return all
}

const (
	mayRead  = unix.LANDLOCK_ACCESS_FS_READ_FILE
	mayRun   = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_EXECUTE
	mayWrite = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
)

// landlock makes the rules: whatever stands in none of them is forbidden. Nil is none.
func (s spec) landlock(program int) (*landlock, error) {
	if !s.Layers.has(Landlock) {
		return nil, nil
	}
	version := landlockVersion()
	if version == 0 {
		return nil, errors.New("not in this kernel")
	}
	all := handled(version)
	fd, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&all)), unsafe.Sizeof(all), 0)
	if e != 0 {
		return nil, e
	}
	l := &landlock{int(fd), all.Handled_access_fs}
	if err := l.allow(program, mayRun); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Program, err)
	}
	if s.Loader != "" {
		if err := l.allowPath(s.Loader, mayRun); err != nil {
			return nil, err
		}
	}
	for _, path := range s.Libraries {
		if err := l.allowPath(path, mayRead); err != nil && !errors.Is(err, unix.ENOENT) {
			return nil, err
		}
	}
	for i := range s.Reads + s.Writes {
		var rights uint64 = mayRead
		if i >= s.Reads {
			rights = mayWrite
		}
		if err := l.allow(firstFile+i, rights); err != nil && !isPipe(firstFile+i) { // of pipes Landlock takes no rule, and forbids none
			return nil, fmt.Errorf("file %d: %w", i, err)
		}
	}
	return l, nil
}

// allowPath allows so much with a file, or all below a folder.
func (l *landlock) allowPath(path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err == nil {
		err = l.allow(fd, rights)
		_ = unix.Close(fd)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func isPipe(fd int) bool {
	var info unix.Stat_t
	return unix.Fstat(fd, &info) == nil && info.Mode&unix.S_IFMT == unix.S_IFIFO
}

func (l *landlock) allow(fd int, rights uint64) error {
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights & l.rights, Parent_fd: int32(fd)} //nolint:gosec // a descriptor
	_, _, e := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(l.fd), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}

// enforce puts the rules into force for this thread, and so for what it becomes.
func (l *landlock) enforce() error {
	if l == nil {
		return nil
	}
	if _, _, e := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(l.fd), 0, 0); e != 0 {
		return e
	}
	return unix.Close(l.fd)
}
