// Package internal_test holds the import rules of the repository: what README's layout says is what the code does.
package internal_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Who is what. A package in none of the lists is a leaf that knows neither services nor adapters.
var (
	services = []string{"auth", "converter", "courier", "gateway", "notification"}
	adapters = []string{"embedded", "ffmpeg", "mongodb", "mysql", "outside", "rabbit", "smtp"}
	testOnly = []string{"apitest", "bench", "browser", "checker", "manifests", "porttest", "testmedia", "testserver", "testsuite"}
	pure     = []string{"hook", "job", "link", "mp3", "token", "user"} // no I/O: these import no other package of ours but each other
)

const prefix = "mp3converter/internal/"

// imports lists each package under internal with the packages under internal that it imports, tests left out.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		var ours []string
		for _, path := range fields[1:] {
			if rest, ok := strings.CutPrefix(path, prefix); ok {
				ours = append(ours, top(rest))
			}
		}
		name := top(strings.TrimPrefix(fields[0], prefix))
		all[name] = append(all[name], ours...)
	}
	return all
}

// top is the folder directly under internal.
func top(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}

func TestOnlyCommandsSeeBothAServiceAndItsAdapters(t *testing.T) {
	for name, uses := range imports(t) {
		for _, used := range uses {
			switch {
			case used == name:
			case slices.Contains(services, name) && (slices.Contains(services, used) || slices.Contains(adapters, used)):
				t.Errorf("service %s imports %s: it states what it needs as an interface instead", name, used)
			case slices.Contains(adapters, name) && (slices.Contains(services, used) || slices.Contains(adapters, used)):
				t.Errorf("adapter %s imports %s: adapters speak the domain's types only", name, used)
			case !slices.Contains(services, name) && !slices.Contains(testOnly, name) && (slices.Contains(services, used) || slices.Contains(adapters, used)):
				t.Errorf("leaf %s imports %s: only cmd/ may", name, used)
			case !slices.Contains(testOnly, name) && slices.Contains(testOnly, used):
				t.Errorf("%s imports %s, which is for tests", name, used)
			case slices.Contains(pure, name) && !slices.Contains(pure, used):
				t.Errorf("%s imports %s, but does no I/O", name, used)
			}
		}
	}
}

func TestNoCommandContainsWhatIsForTests(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "mp3converter/cmd/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		rest, ours := strings.CutPrefix(path, prefix)
		if ours && slices.Contains(testOnly, top(rest)) || strings.HasPrefix(path, "k8s.io/") || strings.HasPrefix(path, "sigs.k8s.io/") {
			t.Errorf("a command contains %s, which is for tests", path)
		}
	}
}
