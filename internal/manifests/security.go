package manifests

import (
	corev1 "k8s.io/api/core/v1"
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
