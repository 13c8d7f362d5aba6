package encoder

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mp3converter/internal/sandbox"
	"mp3converter/internal/settings"
)

var good = Settings{Sandbox: "best", MaxDuration: settings.Seconds(time.Hour), Stall: settings.Seconds(time.Second), Wall: settings.Seconds(time.Second), MaxMP3: 1}

func TestSandboxIsOneOfThree(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"best", "off"} {
		s := good
		s.Sandbox = value
		if err := s.Validate(); err != nil {
			t.Errorf("SANDBOX=%s: %v", value, err)
		}
	}
	s := good
	s.Sandbox = "true"
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "SANDBOX: required, best or off") {
		t.Errorf("SANDBOX=true: %v", err)
	}
}

// The kernel is played by a filter that this test starts itself under.
func TestRequiredIsRefusedWhereTheKernelLacksLandlock(t *testing.T) {
	if os.Getenv("ENCODER_TEST_LACKS") != "" {
		withoutLandlock(t)
		for _, value := range []string{"required", "best"} {
			s := good
			s.Sandbox = value
			fmt.Println(value, s.Validate())
		}
		return
	}
	required := good
	required.Sandbox = "required"
	if err := required.Validate(); err != nil {
		t.Skipf("NOT RUN: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "ENCODER_TEST_LACKS=landlock")
	out, err := cmd.CombinedOutput()
	for _, want := range []string{"required SANDBOX: this kernel has no landlock", "best <nil>"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %s\nwant %q", err, out, want)
		}
	}
	if sandbox.Available() != sandbox.All {
		t.Error("the filter is ours too")
	}
}

// withoutLandlock has the kernel say from now on that there is no such call.
func withoutLandlock(t *testing.T) {
	t.Helper()
	const number = 0 // where the call's is
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_LANDLOCK_CREATE_RULESET, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	if _, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))); e != 0 {
		t.Fatal(e)
	}
}
