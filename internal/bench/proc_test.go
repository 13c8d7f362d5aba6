package main

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"
)

func TestStatSurvivesTheNamesOfPrograms(t *testing.T) {
	const rest = "S 41 42 42 0 -1 4194560 100 200 0 0 123 45 678 9 20 0 5 0 1000 2000 300 18446744073709551615"
	want := procStat{41, cpuTime{own: 1680 * time.Millisecond, children: 6870 * time.Millisecond}}
	for name, text := range map[string]string{
		"plain":           "42 (gateway) " + rest,
		"with spaces":     "42 (a b c) " + rest,
		"with a bracket)": "42 (a) S 1 (b) " + rest,
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := parseStat(text); err != nil || got != want {
				t.Errorf("parseStat(%q) = %+v, %v, want %+v", text, got, err, want)
			}
		})
	}
}

func TestStatThatIsNoneIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"empty":        "",
		"cut short":    "42 (gateway) S 41 42",
		"not a number": "42 (gateway) S 41 42 42 0 -1 4194560 100 200 0 0 many 45 678 9 20",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := parseStat(text); err == nil {
				t.Errorf("parseStat(%q) = %+v, want an error", text, got)
			}
		})
	}
}

func TestStatusIsReadInBytes(t *testing.T) {
	const text = "Name:\tgateway\nVmPeak:\t  900 kB\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t5\n"
	want := memory{now: 1 << 20, peak: 2 << 20}
	if got, err := parseStatus(text); err != nil || got != want {
		t.Errorf("parseStatus = %+v, %v, want %+v", got, err, want)
	}
	for name, text := range map[string]string{
		"a zombie has none": "Name:\tgateway\nState:\tZ (zombie)\n",
		"another unit":      "VmHWM:\t 2 MB\nVmRSS:\t 1 MB\n",
	} {
		if got, err := parseStatus(text); err == nil {
			t.Errorf("%s: parseStatus = %+v, want an error", name, got)
		}
	}
}

func TestTheKernelIsUnderstood(t *testing.T) {
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	if got := childrenOf(os.Getpid()); !slices.Contains(got, child.Process.Pid) {
		t.Errorf("childrenOf(me) = %v, want %d among them", got, child.Process.Pid)
	}
	if m, err := memoryOf(os.Getpid()); err != nil || m.now < mebi || m.peak < m.now {
		t.Errorf("memoryOf(me) = %+v, %v", m, err)
	}
	func() {
		hold := bytes.Repeat([]byte{1}, 64*mebi)
		runtime.KeepAlive(hold)
	}()
	high, _ := memoryOf(os.Getpid())
	debug.FreeOSMemory()
	if err := forgetPeak(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	if low, err := memoryOf(os.Getpid()); err != nil || low.peak > high.peak-32*mebi {
		t.Errorf("the peak is %+v after it was forgotten, %+v before, %v", low, high, err)
	}
}

func TestCPUTimeIsOfTheProcessAndItsChildren(t *testing.T) {
	before, err := cpuOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	after, err := cpuOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	used, child1 := after.minus(before), child.ProcessState.UserTime()+child.ProcessState.SystemTime()
	if off := (used.children - child1).Abs(); off > 2*tick || used.own <= 0 || used.total() != used.own+used.children {
		t.Errorf("cpuOf = %+v more, of which the child used %v", used, child1)
	}
}
