package manifests

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func TestManifestsKeepTheRules(t *testing.T) {
	s := shipped(t)
	for _, rule := range Rules {
		for _, f := range rule.Check(s) {
			t.Errorf("%s: %s", rule.Name, f)
		}
	}
}

// plant is a mistake put into the real manifests, which the rule must find in words that have all of want.
type plant struct {
	rule, name string
	spoil      func(*Set)
	want       []string
}

func TestEachRuleFindsTheMistakesPlantedForIt(t *testing.T) {
	good := shipped(t)
	planted := slices.Concat(namesPlants, referencesPlants, addressesPlants, securityPlants, resourcesPlants, labelsPlants, lifecyclePlants, networkPlants, sizesPlants)
	for _, p := range planted {
		t.Run(p.rule+"/"+p.name, func(t *testing.T) {
			i := slices.IndexFunc(Rules, func(r Rule) bool { return r.Name == p.rule })
			if i < 0 {
				t.Fatalf("no rule %q", p.rule)
			}
			bad := good.Clone()
			p.spoil(bad)
			expect(t, Rules[i].Check(bad), p.want...)
		})
	}
	for _, rule := range Rules {
		if !slices.ContainsFunc(planted, func(p plant) bool { return p.rule == rule.Name }) {
			t.Errorf("no mistake is planted for %q: nobody knows that it can fail", rule.Name)
		}
	}
}

// expect fails unless one finding has all the words.
func expect(t *testing.T, findings []Finding, words ...string) {
	t.Helper()
	if !slices.ContainsFunc(findings, func(f Finding) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(string(f), word) })
	}) {
		t.Errorf("found:\n%s\nwant a finding with %q", lines(findings), words)
	}
}

func TestDocumentsAreDecodedStrictly(t *testing.T) {
	good := files(t)
	for name, tt := range map[string]struct{ file, old, new, want string }{
		"an unknown field":     {"auth.yaml", "  replicas: 2\n", "  replica: 2\n", `unknown field "spec.replica"`},
		"a misplaced field":    {"auth.yaml", "          image: mp3", "          imagePullSecrets: []\n          image: mp3", "imagePullSecrets"},
		"a field twice":        {"auth.yaml", "  replicas: 2\n", "  replicas: 2\n  replicas: 3\n", `key "replicas" already set`},
		"a number as a string": {"auth.yaml", "  replicas: 2\n", "  replicas: two\n", "replicas"},
		"a number as data":     {"auth.yaml", `MYSQL_PORT: "3306"`, "MYSQL_PORT: 3306", "cannot unmarshal number into Go struct field ConfigMap.data"},
		"an unknown kind":      {"auth.yaml", "kind: Deployment", "kind: Deploymnt", "Deploymnt"},
		"an old version":       {"auth.yaml", "policy/v1", "policy/v1beta1", "policy/v1beta1"},
		"an operator's kind":   {"auth.yaml", "apiVersion: apps/v1", "apiVersion: keda.sh/v1alpha1", "keda.sh/v1alpha1"},
		"no YAML":              {"auth.yaml", "spec:\n", "spec: {\n", "document"},
	} {
		t.Run(name, func(t *testing.T) {
			file := "manifests/" + tt.file
			bad := strings.Replace(good[file], tt.old, tt.new, 1)
			if bad == good[file] {
				t.Fatalf("%s has no %q", tt.file, tt.old)
			}
			_, findings := Decode(file, bad, Kubernetes)
			expect(t, findings, file, tt.want)
			if _, err := Compile(os.DirFS(root(t)), map[string]string{file: bad}); err == nil {
				t.Error("Compile takes it")
			}
		})
	}
}

func TestAListIsRefused(t *testing.T) {
	_, findings := Decode("f", "apiVersion: v1\nkind: List\nitems: []\n", Kubernetes)
	expect(t, findings, "f: document 1", "List has no metadata")
}

func TestOnlyWhatIsNotEmptyIsADocument(t *testing.T) {
	objects, findings := Decode("f", "# words\n---\n---\n# words\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n---\n", Kubernetes)
	if len(objects) != 1 || len(findings) > 0 {
		t.Errorf("Decode: %v, %v, want one object", objects, findings)
	}
}

func TestOperatorsKindsAreTakenWhereTheyAreAllowed(t *testing.T) {
	const scaled = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: converter, namespace: mp3converter}\n"
	objects, findings := Decode("f", scaled, Operators)
	if len(findings) > 0 || len(objects) != 1 || objects[0].String() != "f: ScaledObject converter" {
		t.Errorf("Decode: %v, %v", objects, findings)
	}
	_, findings = Decode("f", strings.Replace(scaled, "name: converter", "title: x", 1), Operators)
	expect(t, findings, "f: document 1", "metadata.name")
	_, findings = Decode("f", scaled+"kind: Other\n", Operators)
	expect(t, findings, `key "kind" already set`)
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func files(t *testing.T) map[string]string {
	t.Helper()
	all, err := Files(os.DirFS(root(t)))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// shipped is what is in manifests/.
func shipped(t *testing.T) *Set {
	t.Helper()
	s, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What plants take hold of. A name that is not there is the test's own mistake.

func get[T runtime.Object](s *Set, name string) T {
	o, ok := Get[T](s, name)
	if !ok {
		panic(fmt.Sprintf("no %T %s", o.V, name))
	}
	return o.V
}

func pod(s *Set, name string) *corev1.PodSpec {
	w, ok := s.Workload(name)
	if !ok {
		panic("no workload " + name)
	}
	return &w.Pod.Spec
}

func container(s *Set, name string) *corev1.Container { return &pod(s, name).Containers[0] }

func service(s *Set, name string) *corev1.Service { return get[*corev1.Service](s, name) }

func data(s *Set, name string) map[string]string { return get[*corev1.ConfigMap](s, name).Data }

func secrets(s *Set, name string) map[string]string { return get[*corev1.Secret](s, name).StringData }

func ingress(s *Set, name string) *networkingv1.Ingress { return get[*networkingv1.Ingress](s, name) }

func budget(s *Set, name string) *policyv1.PodDisruptionBudgetSpec {
	return &get[*policyv1.PodDisruptionBudget](s, name).Spec
}

func allow(s *Set, name string) *networkingv1.NetworkPolicySpec {
	return &get[*networkingv1.NetworkPolicy](s, name).Spec
}
