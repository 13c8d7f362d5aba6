package deploy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"sigs.k8s.io/yaml"
)

// stubs are programs that stand in for those that the scripts call: this test binary, under another name. What they know
// and what they were called with is in a folder.
var stubs = map[string]func(world, []string) int{
	"kubectl": kubectl, "minikube": minikube, "docker": docker, "make": makes, "uname": uname,
	"mongosh": func(w world, _ []string) int {
		w.set(strings.Join(strings.Fields(os.Getenv("new")+" "+os.Getenv("before")+" "+os.Getenv("users")), " "), "mongosh")
		fmt.Println("password changed")
		return 0
	},
}

// world is what the stubs find. A file in it is a fact.
type world string

// stub runs the stub that this process was started as.
func stub(name string, args []string) int {
	w := world(os.Getenv("STUB_WORLD"))
	call := strings.Join(append([]string{name}, args...), " ")
	f, err := os.OpenFile(w.path("calls"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintf(f, "%q\n", call)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	f.Close()
	if what := w.get("fails"); what != "" && strings.Contains(call, what) {
		fmt.Fprintln(os.Stderr, name+" is told to fail")
		return 1
	}
	return stubs[name](w, args)
}

func (w world) path(elem ...string) string {
	return filepath.Join(append([]string{string(w)}, elem...)...)
}

func (w world) get(elem ...string) string {
	content, err := os.ReadFile(w.path(elem...))
	if err != nil {
		return ""
	}
	return string(content)
}

func (w world) set(content string, elem ...string) {
	file := w.path(elem...)
	err := os.MkdirAll(filepath.Dir(file), 0o700)
	if err == nil {
		err = os.WriteFile(file, []byte(content), 0o600)
	}
	if err != nil {
		panic(err)
	}
}

func (w world) has(elem ...string) bool {
	_, err := os.Stat(w.path(elem...))
	return err == nil
}

// calls are the command lines so far, and forgotten from then on.
func (w world) calls(t *testing.T) (lines []string) {
	t.Helper()
	for line := range strings.Lines(w.get("calls")) {
		var call string
		if _, err := fmt.Sscanf(line, "%q", &call); err != nil {
			t.Fatalf("call %s: %v", line, err)
		}
		lines = append(lines, call)
	}
	w.set("", "calls")
	return lines
}

// secrets are the values by Secret and key.
func (w world) secrets(t *testing.T) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	files, _ := filepath.Glob(w.path("secret", "*"))
	for _, f := range files {
		var values map[string]string
		if err := json.Unmarshal([]byte(w.get("secret", filepath.Base(f))), &values); err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(f)] = values
	}
	return all
}

// newWorld returns a world with the named stubs, and how to run a script in it.
func newWorld(t *testing.T, names ...string) (w world, run func(args ...string) (string, error)) {
	t.Helper()
	w = world(t.TempDir())
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		w.set("", "bin", ".keep")
		if err := os.Symlink(self, w.path("bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	return w, func(args ...string) (string, error) {
		cmd := exec.Command(root+args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "PATH="+w.path("bin")+":"+os.Getenv("PATH"), "STUB_WORLD="+string(w),
			"GORACE=atexit_sleep_ms=0") // or each of some hundred calls takes a second to end under the race detector
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}

// kubectl knows the Secrets that are applied to it, and objects whose kind and name are a file's path.
func kubectl(w world, args []string) int {
	if len(args) > 1 && (args[0] == "-n" || args[0] == "--namespace" || args[0] == "--context") {
		return kubectl(w, args[2:])
	}
	switch {
	case slices.Contains(args, "apply") && slices.Contains(args, "-"):
		return w.apply(os.Stdin)
	case args[0] == "get":
		return w.show(args[1], args[2], args[len(args)-1])
	case args[0] == "delete" && args[1] == "secret":
		_ = os.Remove(w.path("secret", args[2]))
	case args[0] == "exec":
		cmd := exec.Command(args[4], args[5:]...) // exec -i POD -- COMMAND...
		cmd.Env = append(os.Environ(), strings.Fields(w.get("env", args[2]))...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return 1
		}
	}
	return 0
}

func (w world) apply(documents io.Reader) int {
	text, err := io.ReadAll(documents)
	if err != nil {
		return 3
	}
	for document := range bytes.SplitSeq(text, []byte("---\n")) {
		var s struct {
			Kind       string
			Metadata   struct{ Name string }
			StringData map[string]string
		}
		if err := yaml.Unmarshal(document, &s); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if s.Kind == "Secret" {
			values, _ := json.Marshal(s.StringData)
			w.set(string(values), "secret", s.Metadata.Name)
		}
	}
	return 0
}

// show prints an object as -o has it: its name, a template of it, or what its file says.
func (w world) show(kind, name, output string) int {
	if !w.has(kind, name) {
		return 0 // --ignore-not-found
	}
	text, isTemplate := strings.CutPrefix(output, "go-template=")
	switch {
	case output == "name":
		fmt.Println(kind + "/" + name)
	case !isTemplate:
		fmt.Print(w.get(kind, name))
	default:
		var values map[string]string
		data := map[string]string{}
		if json.Unmarshal([]byte(w.get(kind, name)), &values) != nil {
			return 3
		}
		for k, v := range values {
			data[k] = base64.StdEncoding.EncodeToString([]byte(v))
		}
		decode := func(s string) string { b, _ := base64.StdEncoding.DecodeString(s); return string(b) }
		t, err := template.New("").Funcs(template.FuncMap{"base64decode": decode}).Parse(text)
		if err != nil || t.Execute(os.Stdout, map[string]any{"data": data}) != nil {
			return 1
		}
	}
	return 0
}
