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

func TestTheContextIsSmall(t *testing.T) {
	const header, block = 512, 512 // of a tar archive
	total := int64(0)
	for name, size := range context(t) {
		total += header + (size+block-1)/block*block
		if strings.HasSuffix(name, "_test.go") || strings.Contains(name, "/testdata/") || strings.HasPrefix(name, ".") {
			t.Errorf("%s is in the context", name)
		}
	}
	t.Logf("%d bytes", total)
	if total > 1.5e6 {
		t.Errorf("the context has %d bytes, a megabyte and a half is the limit", total)
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

func TestTheContextHoldsNothingElse(t *testing.T) {
	used := map[string]bool{}
	for _, service := range services {
		for _, line := range needs(t, root, "./cmd/"+service) {
			path, _, _ := strings.Cut(line, " ")
			used[strings.TrimPrefix(path, "mp3converter/")] = true
		}
	}
	for name := range context(t) {
		if filepath.Ext(name) == ".go" && !used[filepath.Dir(name)] {
			t.Errorf("%s is in the context, and no service needs it", name)
		}
	}
}

// needs lists the packages of ours that a build in the folder needs, each with its files.
func needs(t *testing.T, dir, packages string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f",
		`{{with .Module}}{{if .Main}}{{$.ImportPath}} {{$.GoFiles}} {{$.EmbedFiles}}{{end}}{{end}}`, packages)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", packages, err, out)
	}
	return slices.Sorted(strings.Lines(string(out)))
}
