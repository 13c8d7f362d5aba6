package encoder

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	_ "mp3converter/internal/settings/readme" // for its -update: go test ./cmd/... -update
)

// asked has the test program say which ffmpeg it would run, and end: what lies beside it is up to the test.
const asked = "ENCODER_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if setting, ok := os.LookupEnv(asked); ok {
		fmt.Print(program(setting))
		return
	}
	os.Exit(m.Run())
}

func TestTheFFmpegBesideTheProgramIsPreferred(t *testing.T) {
	for name, tt := range map[string]struct {
		setting string
		lay     func(path string) error // what lies beside the program as ffmpeg
		want    string                  // % is the program's folder
	}{
		"beside":                     {"", func(p string) error { return os.WriteFile(p, nil, 0o700) }, "%/ffmpeg"},
		"named":                      {"/opt/ffmpeg", func(p string) error { return os.WriteFile(p, nil, 0o700) }, "/opt/ffmpeg"},
		"nothing beside":             {"", func(string) error { return nil }, "ffmpeg"},
		"beside, but a folder":       {"", func(p string) error { return os.Mkdir(p, 0o700) }, "ffmpeg"},
		"beside, but not executable": {"", func(p string) error { return os.WriteFile(p, nil, 0o600) }, "ffmpeg"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			own := filepath.Join(dir, "converter")
			copyProgram(t, own)
			if err := tt.lay(filepath.Join(dir, "ffmpeg")); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), own)
			cmd.Env = []string{asked + "=" + tt.setting}
			cmd.Dir = "/"
			got, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			want := tt.want
			if want[0] == '%' {
				want = dir + want[1:]
			}
			if string(got) != want {
				t.Errorf("it would run %q, want %q", got, want)
			}
		})
	}
}

// copyProgram puts the running test program at the path.
func copyProgram(t *testing.T, path string) {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o700); err != nil {
		t.Fatal(err)
	}
}
