package manifests

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// evaluator is the one that kube-apiserver asks.
var evaluator = func() policy.Evaluator {
	e, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		panic(err) // its own checks contradict each other
	}
	return e
}()

// restricted holds that every pod meets the strictest Pod Security Standard, and that the namespace insists on it.
func restricted(s *Set) []Finding {
	var findings []Finding
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, w := range s.Workloads() {
		for _, result := range evaluator.EvaluatePod(level, &w.Pod.ObjectMeta, &w.Pod.Spec) {
			if !result.Allowed {
				findings = append(findings, w.Find("spec.template.spec", "restricted forbids: %s (%s)", result.ForbiddenReason, result.ForbiddenDetail))
			}
		}
	}
	for _, o := range All[*corev1.Namespace](s) {
		if got := o.V.Labels[api.EnforceLevelLabel]; got != string(api.LevelRestricted) {
			findings = append(findings, o.Find("labels["+api.EnforceLevelLabel+"]", "is %q: set %s", got, api.LevelRestricted))
		}
	}
	return findings
}

// security holds what restricted does not ask for: fixed users, no token, read-only roots, bounded scratch.
func security(s *Set) []Finding {
	var findings []Finding
	for _, w := range s.Workloads() {
		if token := w.Pod.Spec.AutomountServiceAccountToken; token == nil || *token {
			findings = append(findings, w.Find("automountServiceAccountToken", "set false: nobody here talks to Kubernetes"))
		}
		for _, c := range w.Containers() {
			if uid := runAs(w, c); uid == nil || *uid == 0 {
				findings = append(findings, w.Find("runAsUser", "container %s: set a fixed one that is not 0", c.Name))
			}
			if readOnly := c.SecurityContext != nil && c.SecurityContext.ReadOnlyRootFilesystem != nil && *c.SecurityContext.ReadOnlyRootFilesystem; w.Ours() && !readOnly {
				findings = append(findings, w.Find("readOnlyRootFilesystem", "container %s: set true", c.Name))
			}
		}
		for _, v := range w.Pod.Spec.Volumes {
			if v.EmptyDir != nil && (v.EmptyDir.SizeLimit == nil || v.EmptyDir.SizeLimit.IsZero()) {
				findings = append(findings, w.Find("volumes["+v.Name+"]", "give the emptyDir a sizeLimit"))
			}
		}
	}
	return findings
}

func runAs(w Workload, c *corev1.Container) *int64 {
	if c.SecurityContext != nil && c.SecurityContext.RunAsUser != nil {
		return c.SecurityContext.RunAsUser
	}
	if w.Pod.Spec.SecurityContext != nil {
		return w.Pod.Spec.SecurityContext.RunAsUser
	}
	return nil
}

// resources holds that each container asks for what it needs and is bounded, and that Go knows the bound.
func resources(s *Set) []Finding {
	var findings []Finding
	for _, w := range s.Workloads() {
		for _, c := range w.Containers() {
			has := c.Resources
			for field, q := range map[string]*resource.Quantity{
				"requests.cpu": has.Requests.Cpu(), "requests.memory": has.Requests.Memory(), "limits.memory": has.Limits.Memory(),
			} {
				if q.Sign() <= 0 {
					findings = append(findings, w.Find("resources."+field, "container %s: set it", c.Name))
				}
			}
			for name, limit := range has.Limits {
				if request := has.Requests[name]; request.Cmp(limit) > 0 {
					findings = append(findings, w.Find("resources", "container %s asks for more %s than its limit", c.Name, name))
				}
			}
		}
		if w.Ours() {
			findings = append(findings, s.goMemory(w)...)
		}
	}
	return findings
}

// goMemory holds that Go's collector is told of the limit, before the kernel tells it.
func (s *Set) goMemory(w Workload) []Finding {
	const field = "env[GOMEMLIMIT]"
	text, ok := s.Environment(w)["GOMEMLIMIT"]
	if !ok {
		return []Finding{w.Find(field, "set it, below the memory limit")}
	}
	n, err := goBytes(text)
	limit := w.Container().Resources.Limits.Memory().Value()
	switch {
	case err != nil:
		return []Finding{w.Find(field, "%q is none of Go's sizes", text)}
	case n > limit:
		return []Finding{w.Find(field, "%s is more than the memory limit %d", text, limit)}
	}
	return nil
}

// goBytes reads a size as Go's runtime does.
func goBytes(text string) (int64, error) {
	for i, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if digits, ok := strings.CutSuffix(text, unit); ok {
			n, err := strconv.ParseInt(digits, 10, 64)
			return n << (10 * (i + 1)), err
		}
	}
	return strconv.ParseInt(strings.TrimSuffix(text, "B"), 10, 64)
}

// images holds that each is one version for good, and that ours are taken from the machine if they are there.
func images(s *Set) []Finding {
	var findings []Finding
	for _, w := range s.Workloads() {
		for _, c := range w.Containers() {
			_, digest, _ := strings.Cut(c.Image, "@")
			if tag := tagOf(c.Image); digest == "" && (tag == "" || tag == "latest") {
				findings = append(findings, w.Find("image", "%s: name a version", c.Image))
			}
			if c.ImagePullPolicy != corev1.PullIfNotPresent {
				findings = append(findings, w.Find("imagePullPolicy", "container %s: set %s", c.Name, corev1.PullIfNotPresent))
			}
		}
	}
	return findings
}

func tagOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return tag
}

const keepLabel = "mp3converter/keep"

// labelling holds the recommended labels, and that what keeps data is marked, and nothing else: uninstalling leaves it.
func labelling(s *Set) []Finding {
	var findings []Finding
	for _, o := range s.Objects {
		findings = append(findings, labelled(o, "labels", o.GetLabels())...)
		keeps := slices.Contains([]string{"Namespace", "PersistentVolumeClaim"}, o.Kind)
		findings = append(findings, kept(o, "labels", o.GetLabels(), keeps)...)
	}
	for _, w := range s.Workloads() {
		has := w.Pod.Labels
		findings = append(findings, labelled(w.Object, "spec.template.labels", has)...)
		if version, want := has["app.kubernetes.io/version"], tagOf(w.Container().Image); version != want && (version != "" || w.Ours()) {
			findings = append(findings, w.Find("spec.template.labels[app.kubernetes.io/version]", "is %q: the image is %s", version, want))
		}
		for _, claim := range w.Claims {
			findings = append(findings, kept(w.Object, "volumeClaimTemplates["+claim.Name+"].labels", claim.Labels, true)...)
		}
	}
	return findings
}

func labelled(o Object, field string, has map[string]string) []Finding {
	var findings []Finding
	want := map[string]string{"app.kubernetes.io/part-of": "mp3converter"}
	if o.Kind != "Namespace" {
		want["app.kubernetes.io/component"] = ""
	}
	if app := has["app"]; app != "" || !slices.Contains([]string{"Namespace", "NetworkPolicy"}, o.Kind) {
		want["app.kubernetes.io/name"] = app // "" if it has none: any
	}
	for name, value := range want {
		if has[name] == "" || value != "" && has[name] != value {
			findings = append(findings, o.Find(field+"["+name+"]", "is %q: set %s", has[name], orAny(value)))
		}
	}
	return findings
}

func orAny(value string) string {
	if value == "" {
		return "it"
	}
	return value
}

func kept(o Object, field string, has map[string]string, keeps bool) []Finding {
	if (has[keepLabel] == "true") == keeps {
		return nil
	}
	return []Finding{o.Find(field+"["+keepLabel+"]", "%s", fmt.Sprintf("is %q: it must be \"true\" on the namespace and on claims, and on nothing else", has[keepLabel]))}
}
