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
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// render makes of a folder what kubectl apply -k would apply.
func render(disk filesys.FileSystem, folder, name string) (*Set, []Finding) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, folder)
	if err != nil {
		return nil, []Finding{Finding(fmt.Sprintf("%s: %v", name, err))}
	}
	text, err := built.AsYaml()
	if err != nil {
		return nil, []Finding{Finding(fmt.Sprintf("%s: %v", name, err))}
	}
	objects, findings := Decode(name, string(text), Operators)
	return &Set{Objects: objects}, findings
}

// judge asks an overlay the rules that are not about manifests/ alone. What does not bring the namespace is an addition to
// manifests/, and is judged together with it.
func judge(overlay, base *Set) []Finding {
	s := *overlay
	s.InitSQL, s.Defaults = base.InitSQL, base.Defaults
	if !s.Has("Namespace", Namespace) {
		s.Objects = slices.Concat(base.Objects, overlay.Objects)
	}
	var findings []Finding
	for _, rule := range Rules {
		if !rule.Minikube {
			findings = append(findings, rule.Check(&s)...)
		}
	}
	return findings
}

// overlays are the folders under deploy/ that kustomize renders; a Component is a part of others and none itself.
func overlays(repository fs.FS) ([]string, error) {
	var all []string
	err := fs.WalkDir(repository, "deploy", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !slices.Contains(konfig.RecognizedKustomizationFileNames(), path.Base(file)) {
			return err
		}
		text, err := fs.ReadFile(repository, file)
		if !strings.Contains(string(text), "kind: Component") {
			all = append(all, path.Dir(file))
		}
		return err
	})
	return all, err
}

func TestOverlaysRenderAndKeepTheRules(t *testing.T) {
	base := shipped(t)
	all, err := overlays(os.DirFS(root(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		t.Run(name, func(t *testing.T) {
			s, findings := render(filesys.MakeFsOnDisk(), filepath.Join(root(t), name), name)
			if len(findings) == 0 {
				findings = judge(s, base)
			}
			if path.Base(name) == "production" {
				findings = append(findings, unpublished(s, base)...)
			}
			for _, f := range findings {
				t.Error(f)
			}
		})
	}
}

// unpublished holds that none of the values that the world can read in manifests/ is in an overlay.
func unpublished(s, base *Set) []Finding {
	var findings []Finding
	for _, o := range All[*corev1.Secret](base) {
		for key := range base.secret(o.GetName()) {
			if value, ok := s.secret(o.GetName())[key]; ok && value == base.secret(o.GetName())[key] {
				findings = append(findings, o.Find("stringData["+key+"]", "is published: leave it out here"))
			}
		}
	}
	for _, o := range All[*corev1.ConfigMap](s) {
		if o.V.Data["DEV"] != "" {
			findings = append(findings, o.Find("data[DEV]", "takes published secrets: leave it out here"))
		}
		if o.V.Data["OPERATORS"] != "" {
			findings = append(findings, o.Find("data[OPERATORS]", "lets somebody look after everybody's jobs whose password is published: leave it out here"))
		}
	}
	return findings
}

// unlisted holds that kustomize reads what kubectl apply -f manifests does.
func unlisted(files map[string]string, kustomization string) []Finding {
	var list struct{ Resources []string }
	if err := yaml.Unmarshal([]byte(kustomization), &list); err != nil {
		return []Finding{Finding("manifests/Kustomization: " + err.Error())}
	}
	var findings []Finding
	for name := range files {
		if !slices.Contains(list.Resources, path.Base(name)) {
			findings = append(findings, Finding("manifests/Kustomization: resources: add "+path.Base(name)))
		}
	}
	for _, name := range list.Resources {
		if _, ok := files["manifests/"+name]; !ok {
			findings = append(findings, Finding("manifests/Kustomization: resources: no file "+name))
		}
	}
	return findings
}

func kustomization(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "manifests/Kustomization"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestKustomizationListsTheFiles(t *testing.T) {
	for _, f := range unlisted(files(t), kustomization(t)) {
		t.Error(f)
	}
	more := maps.Clone(files(t))
	more["manifests/new.yaml"] = ""
	expect(t, unlisted(more, kustomization(t)), "resources: add new.yaml")
	expect(t, unlisted(files(t), kustomization(t)+"  - gone.yaml\n"), "no file gone.yaml")
	expect(t, unlisted(files(t), "resources: x"), "manifests/Kustomization")
}

func TestKustomizeAppliesWhatKubectlDoes(t *testing.T) {
	s, findings := render(filesys.MakeFsOnDisk(), filepath.Join(root(t), "manifests"), "manifests")
	if len(findings) > 0 {
		t.Fatal(lines(findings))
	}
	want, got := shipped(t).Objects, s.Objects
	for i := range want {
		want[i].File = "manifests"
	}
	for _, objects := range [][]Object{want, got} {
		slices.SortFunc(objects, func(a, b Object) int { return strings.Compare(a.String(), b.String()) })
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnOverlayMustRenderAndKeepTheRules(t *testing.T) {
	base := shipped(t)
	const all = "resources: [../manifests]\n"
	patched := func(kind, name, patch string) string {
		return fmt.Sprintf("%spatches: [{target: {kind: %s, name: %s}, patch: '[%s]'}]\n", all, kind, name, patch)
	}
	for name, tt := range map[string]struct {
		overlay string
		want    []string
	}{
		"nothing wrong": {all, nil},
		"another image": {all + "images: [{name: mysql, newTag: latest}]\n", []string{"overlay: StatefulSet mysql: image", "latest"}},
		"a patch of nothing": {patched("Deployment", "auth", `{"op": "remove", "path": "/spec/none"}`),
			[]string{"overlay", "Unable to remove nonexistent key"}},
		"a patch that opens a door": {patched("NetworkPolicy", "mongodb", `{"op": "remove", "path": "/spec/ingress/0/from"}`),
			[]string{"stranger>mongodb:27017 is allowed"}},
		"a misspelt field": {patched("Deployment", "auth", `{"op": "add", "path": "/spec/replica", "value": 3}`),
			[]string{"overlay: document", `"spec.replica"`}},
		"a file that is not there": {"resources: [../manifests, none.yaml]\n", []string{"overlay", "none.yaml"}},
		"an addition":              {"resources: [more.yaml]\n", []string{"overlay: Service more: spec.selector", "matches 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			disk := filesys.MakeFsInMemory()
			texts := maps.Clone(files(t))
			texts["manifests/Kustomization"] = kustomization(t)
			texts["overlay/kustomization.yaml"] = tt.overlay
			texts["overlay/more.yaml"] = "apiVersion: v1\nkind: Service\nmetadata: {name: more, namespace: mp3converter}\nspec: {selector: {app: more}}\n"
			for file, text := range texts {
				if err := disk.WriteFile("/"+file, []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			s, findings := render(disk, "/overlay", "overlay")
			if len(findings) == 0 {
				findings = judge(s, base)
			}
			if tt.want == nil {
				for _, f := range findings {
					t.Error(f)
				}
				return
			}
			expect(t, findings, tt.want...)
		})
	}
}

func TestWhatIsPublishedIsFound(t *testing.T) {
	base := shipped(t)
	findings := unpublished(base.Clone(), base)
	expect(t, findings, "Secret auth-secret: stringData[JWT_SECRET]")
	expect(t, findings, "ConfigMap auth-configmap: data[DEV]")
	expect(t, findings, "ConfigMap auth-configmap: data[OPERATORS]")
}

func TestOverlaysAreFoundAtAnyDepth(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"deploy/a/kustomization.yaml": "kind: Kustomization", "deploy/b/c/Kustomization": "", "deploy/d/kustomization.yml": "kind: Component", "deploy/e/x.yaml": "",
	} {
		if err := os.MkdirAll(filepath.Join(dir, path.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := overlays(os.DirFS(dir))
	if diff := cmp.Diff([]string{"deploy/a", "deploy/b/c"}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}
