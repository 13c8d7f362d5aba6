// Package readme keeps README's tables equal to the code. It is for tests: -update writes the tables anew, for review.
package readme

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mp3converter/internal/settings"
)

var update = flag.Bool("update", false, "write README's tables anew")

// Check compares the variables with the table between README's marks <!-- settings NAME --> and <!-- end -->. Variables
// that are in the lists of shared ones have tables of their own.
func Check(t *testing.T, name string, vars []settings.Var, shared ...[]settings.Var) {
	t.Helper()
	vars = slices.DeleteFunc(vars, func(v settings.Var) bool {
		return slices.ContainsFunc(slices.Concat(shared...), func(s settings.Var) bool { return s.Name == v.Name })
	})
	for i, v := range vars {
		if v.Doc == "" {
			t.Errorf("%s has no doc tag", v.Name)
		}
		if slices.ContainsFunc(vars[:i], func(o settings.Var) bool { return o.Name == v.Name }) {
			t.Errorf("%s is in the settings twice", v.Name)
		}
	}
	Section(t, "settings "+name, table(vars))
}

// Section compares want with what is between README's marks <!-- NAME --> and <!-- end -->.
func Section(t *testing.T, name, want string) {
	t.Helper()
	file := find(t)
	text, err := os.ReadFile(file) //nolint:gosec // README.md of the repository
	if err != nil {
		t.Fatal(err)
	}
	mark := "<!-- " + name + " -->\n"
	before, rest, ok := strings.Cut(string(text), mark)
	got, after, closed := strings.Cut(rest, "<!-- end -->")
	if !ok || !closed {
		t.Fatalf("README.md has no %s… <!-- end -->", mark)
	}
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("README.md's %s are not what the code has; the same test with -update writes\n%s", name, want)
	}
	text = []byte(before + mark + want + "<!-- end -->" + after)
	if err := os.WriteFile(file, text, 0o644); err != nil { //nolint:gosec // README is for everybody
		t.Fatal(err)
	}
}

func table(vars []settings.Var) string {
	var b strings.Builder
	b.WriteString("| variable | default | |\n|---|---|---|\n")
	for _, v := range vars {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Name, v.Value(), v.Doc)
	}
	return b.String()
}

// find returns README.md's path from any folder of the repository.
func find(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
	}
	return filepath.Join(dir, "README.md")
}
