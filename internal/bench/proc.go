package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ, 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// cpuTime is what a process has used: itself, and the children that it has waited for.
type cpuTime struct{ own, children time.Duration }

func (c cpuTime) minus(before cpuTime) cpuTime {
	return cpuTime{c.own - before.own, c.children - before.children}
}

// total is the whole tree's.
func (c cpuTime) total() time.Duration { return c.own + c.children }

// cpuOf reads a process's clock, to the nanosecond, and of its /proc/PID/stat what the children have used, to the tick.
func cpuOf(pid int) (cpuTime, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return cpuTime{}, err
	}
	s, err := parseStat(string(text))
	if err != nil {
		return cpuTime{}, err
	}
	s.cpu.own, err = cpuClock(pid)
	return s.cpu, err
}

// procStat is what we read of /proc/PID/stat.
type procStat struct {
	parent int
	cpu    cpuTime
}

// parseStat takes /proc/PID/stat apart. The program's name, in parentheses, may hold spaces and parentheses.
func parseStat(text string) (procStat, error) {
	_, rest, _ := cutLast(text, ")")
	fields := strings.Fields(rest) // from the third on: state, parent, …
	const parent, own, children = 4 - 3, 14 - 3, 16 - 3
	if len(fields) < children+2 {
		return procStat{}, fmt.Errorf("%d fields after the name in %q", len(fields), text)
	}
	var numbers [5]int64
	for i, at := range []int{parent, own, own + 1, children, children + 1} {
		n, err := strconv.ParseInt(fields[at], 10, 64)
		if err != nil {
			return procStat{}, fmt.Errorf("field %d of %q: %w", at+3, text, err)
		}
		numbers[i] = n
	}
	return procStat{int(numbers[0]), cpuTime{
		own:      time.Duration(numbers[1]+numbers[2]) * tick,
		children: time.Duration(numbers[3]+numbers[4]) * tick,
	}}, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// memory is a process's resident memory in bytes.
type memory struct{ now, peak int64 }

// memoryOf reads a process's /proc/PID/status.
func memoryOf(pid int) (memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, err
	}
	return parseStatus(string(text))
}

// forgetPeak makes a process's peak what it has now.
func forgetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// parseStatus finds VmRSS and VmHWM, which the kernel gives in units of 1024 bytes. A process that has ended, and was not
// waited for, has neither.
func parseStatus(text string) (memory, error) {
	var m memory
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		to := map[string]*int64{"VmRSS": &m.now, "VmHWM": &m.peak}[name]
		if to == nil {
			continue
		}
		number, unit, _ := strings.Cut(strings.TrimSpace(value), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || unit != "kB" {
			return memory{}, fmt.Errorf("%q is no amount of memory", strings.TrimSpace(line))
		}
		*to = n << 10
	}
	if m.peak == 0 {
		return memory{}, fmt.Errorf("no VmHWM: %w", os.ErrProcessDone)
	}
	return m, nil
}

// childrenOf lists the processes that a process has started and that still run.
func childrenOf(pid int) []int {
	all, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	var found []int
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		if s, err := parseStat(string(text)); err == nil && s.parent == pid {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			found = append(found, child)
		}
	}
	return found
}
