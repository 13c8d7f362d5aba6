package images

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the repository.
const root = "../.."

var services = []string{"auth", "converter", "gateway", "notification"}

const (
	distroless = "gcr.io/distroless/static-debian12:nonroot"
	debian     = "debian:bookworm-slim" // where ffmpeg is built
)

// step is one instruction of a Dockerfile, its lines joined.
type step struct{ word, args string }

// stage is FROM and what follows it.
type stage struct {
	base, name string
	steps      []step
}

// stages reads the Dockerfile of a service.
func stages(t *testing.T, service string) []stage {
	t.Helper()
	var all []stage
	for line := range strings.Lines(strings.ReplaceAll(text(t, "Dockerfile."+service), "\\\n", " ")) {
		line = strings.Join(strings.Fields(line), " ")
		if line == "" || line[0] == '#' {
			continue
		}
		word, args, _ := strings.Cut(line, " ")
		if word == "FROM" {
			base, name, _ := strings.Cut(args, " AS ")
			all = append(all, stage{base: base, name: name})
			continue
		}
		if len(all) == 0 {
			t.Fatalf("%s before FROM", word)
		}
		last := &all[len(all)-1]
		last.steps = append(last.steps, step{word, args})
	}
	if len(all) == 0 {
		t.Fatal("no FROM")
	}
	return all
}

func text(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// args are those of all steps with the word.
func (s stage) args(word string) []string {
	var all []string
	for _, step := range s.steps {
		if step.word == word {
			all = append(all, step.args)
		}
	}
	return all
}

// sources are what the stage copies from the context.
func (s stage) sources() []string {
	var all []string
	for _, args := range s.args("COPY") {
		if fields := strings.Fields(args); !strings.HasPrefix(fields[0], "--from=") {
			all = append(all, fields[:len(fields)-1]...)
		}
	}
	return all
}

// golang is the image with go.mod's Go.
func golang(t *testing.T) string {
	t.Helper()
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(text(t, "go.mod"))
	if version == nil {
		t.Fatal("go.mod names no Go")
	}
	return "golang:" + version[1] + "-bookworm"
}

// each runs a test for every service.
func each(t *testing.T, test func(t *testing.T, service string, build, final stage)) {
	t.Helper()
	for _, service := range services {
		t.Run(service, func(t *testing.T) {
			all := stages(t, service)
			at := slices.IndexFunc(all, func(s stage) bool { return s.name == "build" })
			if at < 0 {
				t.Fatal("no stage is called build")
			}
			test(t, service, all[at], all[len(all)-1])
		})
	}
}

func TestTheServicesHaveADockerfileEach(t *testing.T) {
	found, err := filepath.Glob(filepath.Join(root, "Dockerfile*"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range found {
		names = append(names, strings.TrimPrefix(filepath.Ext(path), "."))
	}
	if !slices.Equal(names, services) {
		t.Errorf("Dockerfiles of %v, want %v", names, services)
	}
}

func TestTheBasesAreKnownAndPinned(t *testing.T) {
	for _, service := range services {
		for _, s := range stages(t, service) {
			if !slices.Contains([]string{golang(t), distroless, debian}, s.base) {
				t.Errorf("Dockerfile.%s: FROM %s", service, s.base)
			}
			if s.base == debian && s.name != "ffmpeg" {
				t.Errorf("Dockerfile.%s: %s is for ffmpeg only", service, s.base)
			}
		}
	}
	each(t, func(t *testing.T, _ string, build, final stage) {
		if build.base != golang(t) || final.base != distroless {
			t.Errorf("built on %s, runs on %s", build.base, final.base)
		}
	})
}

func TestTheImageRunsOneStaticProgramAsNobody(t *testing.T) {
	each(t, func(t *testing.T, service string, build, final stage) {
		program := "/usr/local/bin/" + service // in distroless's PATH, so that kubectl exec finds it by name
		var entry []string
		for _, args := range final.args("ENTRYPOINT") {
			if err := json.Unmarshal([]byte(args), &entry); err != nil {
				t.Errorf("ENTRYPOINT needs a shell: %s", args)
			}
		}
		if !slices.Equal(entry, []string{program}) {
			t.Errorf("ENTRYPOINT %q, want %s", entry, program)
		}
		if user := final.args("USER"); !slices.Equal(user, []string{"65532:65532"}) {
			t.Errorf("USER %q; a name would not do for runAsNonRoot", user)
		}
		want := []string{fmt.Sprintf("--from=build /%s %s", service, program)}
		if service == "converter" {
			want = append(want, "--from=ffmpeg /ffmpeg /usr/local/bin/ffmpeg", // beside the program, see FFMPEG
				"--from=ffmpeg /status /var/lib/dpkg/status.d") // what is in it, for scanners and make sbom
		}
		got := slices.Sorted(slices.Values(final.args("COPY")))
		if !slices.Equal(got, want) {
			t.Errorf("the image has %q, want %q", got, want)
		}
		for _, word := range []string{"RUN", "ADD", "CMD", "SHELL", "VOLUME"} {
			if args := final.args(word); len(args) > 0 {
				t.Errorf("%s %q in the image", word, args)
			}
		}
		if info, err := os.Stat(filepath.Join(root, "cmd", service, "main.go")); err != nil || info.IsDir() {
			t.Errorf("there is no command %s: %v", service, err)
		}
		runs := build.args("RUN")
		last := runs[len(runs)-1]
		for _, part := range []string{
			"CGO_ENABLED=0 go build ", " -trimpath ", `-ldflags "-s -w -X mp3converter/internal/daemon.version=$VERSION"`,
			" -o /" + service + " ./cmd/" + service,
		} {
			if !strings.Contains(last+" ", part) {
				t.Errorf("it is built by %q, want %q in it", last, part)
			}
		}
	})
}

// The classic builder has no --mount, and what changes least must come first.
func TestLayersAreCachedWithoutBuildKit(t *testing.T) {
	var common []string
	each(t, func(t *testing.T, service string, build, _ stage) {
		for _, s := range stages(t, service) {
			for _, args := range append(s.args("RUN"), s.args("COPY")...) {
				if regexp.MustCompile(`--(mount|link|chmod|parents|exclude)\b|<<`).MatchString(args) {
					t.Errorf("only BuildKit knows %s", args)
				}
			}
		}
		modules := slices.Index(build.steps, step{"RUN", "go mod download"})
		if modules < 1 || build.steps[modules-1] != (step{"COPY", "go.mod go.sum ./"}) {
			t.Fatal("go mod download is no layer of its own on go.mod and go.sum")
		}
		if sources := (stage{steps: build.steps[:modules]}).sources(); len(sources) != 2 {
			t.Errorf("a change of %v has all modules fetched again", sources)
		}
		shared := slices.Index(build.steps, step{"RUN", "CGO_ENABLED=0 go build -trimpath ./internal/..."})
		if shared < 0 {
			t.Fatal("what the images share is not compiled on its own")
		}
		begin := fmt.Sprint(build.steps[:shared+1])
		if common = append(common, begin); begin != common[0] {
			t.Errorf("its first layers are %s, another's %s", begin, common[0])
		}
	})
}

func TestTheLabelsSayWhatItIs(t *testing.T) {
	each(t, func(t *testing.T, service string, _, final stage) {
		labels := map[string]string{}
		for _, args := range final.args("LABEL") {
			for _, pair := range regexp.MustCompile(`([\w.-]+)="([^"]*)"`).FindAllStringSubmatch(args, -1) {
				labels[strings.TrimPrefix(pair[1], "org.opencontainers.image.")] = pair[2]
			}
		}
		licenses := "MIT"
		if service == "converter" {
			licenses += " AND LGPL-2.1-or-later" // ffmpeg with LAME
		}
		for name, want := range map[string]string{
			"title": "mp3converter " + service, "version": "$VERSION", "revision": "$REVISION", "licenses": licenses,
		} {
			if labels[name] != want {
				t.Errorf("label %s is %q, want %q", name, labels[name], want)
			}
		}
		if len(labels["description"]) < 20 {
			t.Errorf("the description is %q", labels["description"])
		}
		if args := final.args("ARG"); !slices.Equal(args, []string{"VERSION=devel", "REVISION=unknown"}) {
			t.Errorf("ARG %q", args)
		}
	})
}
