// Package manifests judges the files of manifests/, and what the overlays of deploy/ make of them, without a cluster. A rule
// takes all objects of an installation and returns what is wrong with them; what only a cluster can tell is make e2e's.
//
// It is for tests: it brings Kubernetes' own types and its judge of pods along, which no service may contain.
package manifests

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Namespace is where everything lives.
const Namespace = "mp3converter"

// Services are the four of ours.
var Services = []string{"auth", "gateway", "converter", "notification"}

// Finding is one mistake: where it is, and what to change.
type Finding string

// Object is one document of one file.
type Object struct {
	metav1.Object
	File, Kind string
	Value      runtime.Object // the Kubernetes type, or Unstructured where the kind is none of Kubernetes' own
}

func (o Object) String() string { return fmt.Sprintf("%s: %s %s", o.File, o.Kind, o.GetName()) }

// Find words a finding about a field of the object.
func (o Object) Find(field, format string, args ...any) Finding {
	return Finding(fmt.Sprintf("%s: %s: %s", o, field, fmt.Sprintf(format, args...)))
}

// Set is all objects of one installation, and what else of the repository the rules compare them with.
type Set struct {
	Objects  []Object
	InitSQL  string
	Defaults map[string]map[string]string // of each service's variables, see defaults
}

// All lists the objects of one type.
func All[T runtime.Object](s *Set) []Of[T] {
	var all []Of[T]
	for _, o := range s.Objects {
		if v, ok := o.Value.(T); ok {
			all = append(all, Of[T]{o, v})
		}
	}
	return all
}

// Of is an object whose type is known.
type Of[T runtime.Object] struct {
	Object
	V T
}

// Get returns the object of a type and a name; a zero one if there is none.
func Get[T runtime.Object](s *Set, name string) (Of[T], bool) {
	all := All[T](s)
	i := slices.IndexFunc(all, func(o Of[T]) bool { return o.GetName() == name })
	if i < 0 {
		return Of[T]{}, false
	}
	return all[i], true
}

// Has reports whether there is an object of that kind and name, of Kubernetes' own or not.
func (s *Set) Has(kind, name string) bool {
	return slices.ContainsFunc(s.Objects, func(o Object) bool { return o.Kind == kind && o.GetName() == name })
}

// Clone returns a copy that may be spoiled.
func (s *Set) Clone() *Set {
	c := *s
	c.Objects = nil
	for _, o := range s.Objects {
		v := o.Value.DeepCopyObject()
		c.Objects = append(c.Objects, Object{v.(metav1.Object), o.File, o.Kind, v})
	}
	return &c
}

// Remove takes one object away, and reports whether it was there.
func (s *Set) Remove(kind, name string) bool {
	before := len(s.Objects)
	s.Objects = slices.DeleteFunc(s.Objects, func(o Object) bool { return o.Kind == kind && o.GetName() == name })
	return len(s.Objects) < before
}

// Root returns the repository's root from any folder in it.
func Root() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil && dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no go.mod above: %w", fs.ErrNotExist)
}

// Files are what kubectl apply -f manifests would read, by their path in the repository.
func Files(repository fs.FS) (map[string]string, error) {
	entries, err := fs.ReadDir(repository, "manifests")
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, entry := range entries {
		if !slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(entry.Name())) {
			continue
		}
		name := path.Join("manifests", entry.Name())
		text, err := fs.ReadFile(repository, name)
		if err != nil {
			return nil, err
		}
		files[name] = string(text)
	}
	return files, nil
}

// Read decodes manifests/ of the repository that the test runs in.
func Read() (*Set, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	files, err := Files(os.DirFS(root))
	if err != nil {
		return nil, err
	}
	return Compile(os.DirFS(root), files)
}

// Compile decodes files, to be judged beside the repository.
func Compile(repository fs.FS, files map[string]string) (*Set, error) {
	s := &Set{}
	var findings []Finding
	for _, name := range slices.Sorted(maps.Keys(files)) {
		objects, more := Decode(name, files[name], Kubernetes)
		s.Objects, findings = append(s.Objects, objects...), append(findings, more...)
	}
	if len(findings) > 0 {
		return nil, fmt.Errorf("%s", lines(findings))
	}
	return s, s.beside(repository)
}

// beside reads what the rules compare the objects with.
func (s *Set) beside(repository fs.FS) error {
	sql, err := fs.ReadFile(repository, "init.sql")
	if err != nil {
		return err
	}
	readme, err := fs.ReadFile(repository, "README.md")
	if err != nil {
		return err
	}
	s.InitSQL, s.Defaults = string(sql), defaults(string(readme))
	return nil
}

func lines(findings []Finding) string {
	all := make([]string, len(findings))
	for i, f := range findings {
		all[i] = string(f)
	}
	return strings.Join(all, "\n")
}
