package testserver

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Freeze stops a process, or with a negative number a process group as kill(2) does, and returns once not one of its
// threads runs: the signal alone lets those on another processor go on for a while. The test's end thaws it at the latest.
func Freeze(tb testing.TB, pid int) (thaw func()) {
	tb.Helper()
	thaw = func() { _ = syscall.Kill(pid, syscall.SIGCONT) }
	tb.Cleanup(thaw)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		tb.Fatalf("freeze process %d: %v", pid, err)
	}
	for deadline := time.Now().Add(time.Minute); !IsFrozen(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("process %d runs on after SIGSTOP", pid)
		}
	}
	return thaw
}

// IsFrozen reports whether each thread of the process, or group, is stopped or dead.
func IsFrozen(pid int) bool {
	of := strconv.Itoa(pid)
	if pid < 0 {
		of = "[0-9]*"
	}
	threads, _ := filepath.Glob("/proc/" + of + "/task/*/stat")
	for _, file := range threads {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // ended meanwhile
		}
		// proc_pid_stat(5): after the name in brackets, which may hold anything, come state, parent and group.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if pid < 0 && fields[2] != strconv.Itoa(-pid) {
			continue
		}
		if !strings.Contains("TtZX", fields[0]) {
			return false
		}
	}
	return true
}
