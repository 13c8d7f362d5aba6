package main

import (
	"os"
	"os/exec"
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
	if c, err := cpuOf(os.Getpid()); err != nil || c.own < 0 {
		t.Errorf("cpuOf(me) = %+v, %v", c, err)
	}
}
