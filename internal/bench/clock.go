package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// cpuClock is the processor time of a running process with all its threads, in nanoseconds where /proc counts ticks of 10
// ms.
func cpuClock(pid int) (time.Duration, error) {
	const processTime = 2 // CPUCLOCK_SCHED of a process: clock_getcpuclockid(3)
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|processTime), &t); err != nil {
		return 0, fmt.Errorf("processor time of %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// spent is the processor time that the processes use while do runs.
func spent(do func() error, pids ...int) (time.Duration, error) {
	var used time.Duration
	for _, pid := range pids {
		t, err := cpuClock(pid)
		if err != nil {
			return 0, err
		}
		used -= t
	}
	if err := do(); err != nil {
		return 0, err
	}
	for _, pid := range pids {
		t, err := cpuClock(pid)
		if err != nil {
			return 0, err
		}
		used += t
	}
	return used, nil
}
