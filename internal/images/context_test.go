package images

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// context is the files that .dockerignore lets pass, with their sizes.
func context(t *testing.T) map[string]int64 {
	t.Helper()
	patterns, err := ignorefile.ReadAll(strings.NewReader(text(t, ".dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]int64{}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // the data of a make run comes and goes
			return nil
		case err != nil || entry.IsDir():
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		out, err := ignored.MatchesOrParentMatches(name)
		if err != nil || out {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		files[name] = info.Size()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Since TestTheContextHoldsNothingElse everything in the context is needed, what it may grow to is how much source the four
// services may have. Whatever large is not source: media and made files, which no service has a use for.
func TestTheContextIsSmall(t *testing.T) {
	const (
		header, block = 512, 512 // of a tar archive
		most          = 1.5e6    // bytes; 269 files of 1.10 MB made an archive of 1.31 MB when this was set
		largest       = 128 << 10
	)
	total := int64(0)
	for name, size := range context(t) {
		total += header + (size+block-1)/block*block
		if size > largest {
			t.Errorf("%s has %d bytes, more than any source", name, size)
		}
	}
	t.Logf("%d bytes", total)
	if total > most {
		t.Errorf("the context has %d bytes, %.0f are the limit", total, most)
	}
}

func TestWhatIsCopiedIsInTheContext(t *testing.T) {
	files := context(t)
	for _, service := range services {
		for _, s := range stages(t, service) {
			for _, source := range s.sources() {
				if len(below(files, source)) == 0 {
					t.Errorf("Dockerfile.%s: COPY %s: .dockerignore keeps it out", service, source)
				}
			}
		}
	}
}

// below are the files that COPY takes for a source: itself, or all in it.
func below(files map[string]int64, source string) []string {
	var all []string
	for name := range files {
		if name == source || strings.HasPrefix(name, source+"/") {
			all = append(all, name)
		}
	}
	return all
}

// What the build stage copies is laid out in a folder of its own; there Go must find the files that it finds here.
func TestTheBuildStageHasAllThatGoNeeds(t *testing.T) {
	files := context(t)
	each(t, func(t *testing.T, service string, build, _ stage) {
		src := t.TempDir()
		for _, source := range build.sources() {
			for _, name := range below(files, source) {
				copyFile(t, filepath.Join(root, name), filepath.Join(src, name))
			}
		}
		command := "./cmd/" + service
		if diff := cmp.Diff(needs(t, root, command), needs(t, src, command)); diff != "" {
			t.Errorf("(- in the repository, + in the build stage):\n%s", diff)
		}
		needs(t, src, "./internal/...") // compiled for all four images: nothing of it may miss a package
	})
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What is sent is the source of the four services and what their builds fetch by, to the file. So there is nothing in it that
// could be left out, whatever its size.
func TestTheContextHoldsNothingElse(t *testing.T) {
	want := map[string]bool{"go.mod": true, "go.sum": true, "deploy/ffmpeg/build": true}
	for _, arch := range []string{"amd64", "arm64"} {
		for _, service := range services {
			for _, file := range compiled(t, arch, "./cmd/"+service) {
				want[file] = true
			}
		}
	}
	got := map[string]bool{}
	for name := range context(t) {
		got[name] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(- that the services need, + in the context):\n%s", diff)
	}
}

// compiled are the files of ours that a build for Linux reads: Go's and those embedded.
func compiled(t *testing.T, arch, command string) (files []string) {
	t.Helper()
	const format = `{{with .Module}}{{if .Main}}{{range $.GoFiles}}{{$.ImportPath}}/{{.}}
{{end}}{{range $.EmbedFiles}}{{$.ImportPath}}/{{.}}
{{end}}{{end}}{{end}}`
	for name := range strings.FieldsSeq(list(t, root, []string{"GOOS=linux", "GOARCH=" + arch}, format, command)) {
		files = append(files, strings.TrimPrefix(name, "mp3converter/"))
	}
	return files
}

// needs lists the packages of ours that a build in the folder needs, each with its files.
func needs(t *testing.T, dir, packages string) []string {
	t.Helper()
	const format = `{{with .Module}}{{if .Main}}{{$.ImportPath}} {{$.GoFiles}} {{$.EmbedFiles}}{{end}}{{end}}`
	return slices.Sorted(strings.Lines(list(t, dir, nil, format, packages)))
}

// list is what go list says of the packages and of all that they import.
func list(t *testing.T, dir string, env []string, format, packages string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", format, packages)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly"), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", packages, err, out)
	}
	return string(out)
}
