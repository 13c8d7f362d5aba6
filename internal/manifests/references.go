package manifests

import (
	"fmt"
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// podReferences holds that what a pod names exists: ConfigMaps, Secrets, claims, volumes, ports of probes, accounts.
func podReferences(s *Set) []Finding {
	var findings []Finding
	for _, w := range s.Workloads() {
		for _, c := range w.Containers() {
			findings = append(findings, s.environmentReferences(w, c)...)
			findings = append(findings, mountReferences(w, c)...)
			findings = append(findings, probeReferences(w, c)...)
		}
		for _, v := range w.Pod.Spec.Volumes {
			findings = append(findings, s.volumeReferences(w, v)...)
		}
		if account := w.Pod.Spec.ServiceAccountName; account != "" && account != "default" && !s.Has("ServiceAccount", account) {
			findings = append(findings, w.Find("serviceAccountName", "no ServiceAccount %s", account))
		}
	}
	return findings
}

func (s *Set) environmentReferences(w Workload, c *corev1.Container) []Finding {
	var findings []Finding
	for _, from := range c.EnvFrom {
		if ref := from.ConfigMapRef; ref != nil {
			findings = append(findings, s.reference(w, "envFrom", "ConfigMap", ref.Name, ref.Optional)...)
		}
		if ref := from.SecretRef; ref != nil {
			findings = append(findings, s.reference(w, "envFrom", "Secret", ref.Name, ref.Optional)...)
		}
	}
	for _, v := range c.Env {
		if v.ValueFrom == nil {
			continue
		}
		field := "env[" + v.Name + "]"
		if ref := v.ValueFrom.ConfigMapKeyRef; ref != nil {
			findings = append(findings, s.reference(w, field, "ConfigMap", ref.Name, ref.Optional, ref.Key)...)
		}
		if ref := v.ValueFrom.SecretKeyRef; ref != nil {
			findings = append(findings, s.reference(w, field, "Secret", ref.Name, ref.Optional, ref.Key)...)
		}
	}
	return findings
}

// reference holds that a ConfigMap or Secret exists and has the keys.
func (s *Set) reference(w Workload, field, kind, name string, optional *bool, keys ...string) []Finding {
	if optional != nil && *optional {
		return nil
	}
	has := s.configMap(name)
	if kind == "Secret" {
		has = s.secret(name)
	}
	if has == nil {
		return []Finding{w.Find(field, "no %s %s: add it, or correct the name", kind, name)}
	}
	var findings []Finding
	for _, key := range keys {
		if _, ok := has[key]; !ok {
			findings = append(findings, w.Find(field, "%s %s has no key %s", kind, name, key))
		}
	}
	return findings
}

func (s *Set) volumeReferences(w Workload, v corev1.Volume) []Finding {
	field := "volumes[" + v.Name + "]"
	if !slices.ContainsFunc(w.Containers(), func(c *corev1.Container) bool { return mounts(c, v.Name) }) {
		return []Finding{w.Find(field, "nobody mounts it: remove it")}
	}
	keys := func(items []corev1.KeyToPath) (all []string) {
		for _, item := range items {
			all = append(all, item.Key)
		}
		for _, c := range w.Containers() {
			for _, m := range c.VolumeMounts {
				if m.Name == v.Name && m.SubPath != "" && len(items) == 0 {
					all = append(all, m.SubPath)
				}
			}
		}
		return all
	}
	switch {
	case v.ConfigMap != nil:
		return s.reference(w, field, "ConfigMap", v.ConfigMap.Name, v.ConfigMap.Optional, keys(v.ConfigMap.Items)...)
	case v.Secret != nil:
		return s.reference(w, field, "Secret", v.Secret.SecretName, v.Secret.Optional, keys(v.Secret.Items)...)
	case v.PersistentVolumeClaim != nil && !s.Has("PersistentVolumeClaim", v.PersistentVolumeClaim.ClaimName):
		return []Finding{w.Find(field, "no PersistentVolumeClaim %s", v.PersistentVolumeClaim.ClaimName)}
	}
	return nil
}

func mounts(c *corev1.Container, volume string) bool {
	return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volume })
}

func mountReferences(w Workload, c *corev1.Container) []Finding {
	var findings []Finding
	for _, m := range c.VolumeMounts {
		volume := slices.ContainsFunc(w.Pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
		claim := slices.ContainsFunc(w.Claims, func(v corev1.PersistentVolumeClaim) bool { return v.Name == m.Name })
		if !volume && !claim {
			findings = append(findings, w.Find("volumeMounts["+m.Name+"]", "no volume of that name"))
		}
	}
	return findings
}

func probeReferences(w Workload, c *corev1.Container) []Finding {
	var findings []Finding
	for name, p := range probesOf(c) {
		var port intstr.IntOrString
		switch {
		case p == nil:
			continue
		case p.HTTPGet != nil:
			port = p.HTTPGet.Port
		case p.TCPSocket != nil:
			port = p.TCPSocket.Port
		default:
			continue
		}
		if _, ok := w.Port(port); !ok {
			findings = append(findings, w.Find(name, "the container has no port %s", port.String()))
		}
	}
	return findings
}

// serviceReferences holds that Services, Ingresses and autoscalers lead somewhere.
func serviceReferences(s *Set) []Finding {
	var findings []Finding
	for _, o := range All[*corev1.Service](s) {
		findings = append(findings, s.targets(o)...)
	}
	for _, o := range All[*networkingv1.Ingress](s) {
		if o.V.Spec.DefaultBackend != nil {
			findings = append(findings, s.backend(o, *o.V.Spec.DefaultBackend)...)
		}
		for _, rule := range o.V.Spec.Rules {
			if rule.HTTP == nil {
				continue
			}
			for _, p := range rule.HTTP.Paths {
				findings = append(findings, s.backend(o, p.Backend)...)
			}
		}
	}
	for _, o := range All[*autoscalingv2.HorizontalPodAutoscaler](s) {
		if to := o.V.Spec.ScaleTargetRef; !s.Has(to.Kind, to.Name) {
			findings = append(findings, o.Find("spec.scaleTargetRef", "no %s %s", to.Kind, to.Name))
		}
	}
	for _, w := range s.Workloads() {
		if w.Kind == "StatefulSet" {
			findings = append(findings, s.governing(w)...)
		}
	}
	return findings
}

// targets holds that a Service selects one workload, or, if it only lists pods, some, and that its ports are theirs.
func (s *Set) targets(o Of[*corev1.Service]) []Finding {
	selector := &metav1.LabelSelector{MatchLabels: o.V.Spec.Selector}
	if o.V.Spec.Type == corev1.ServiceTypeExternalName || s.operates(selector) {
		return nil
	}
	to := s.Selected(selector)
	if headless := o.V.Spec.ClusterIP == corev1.ClusterIPNone; len(to) == 0 || len(to) > 1 && !headless {
		return []Finding{o.Find("spec.selector", "%v matches %d workloads: must match one", o.V.Spec.Selector, len(to))}
	}
	var findings []Finding
	for _, p := range o.V.Spec.Ports {
		target := p.TargetPort
		if target == (intstr.IntOrString{}) {
			target = intstr.FromInt32(p.Port)
		}
		for _, w := range to {
			if _, ok := w.Port(target); !ok {
				findings = append(findings, o.Find("spec.ports", "targetPort %s is no port of %s", target.String(), w))
			}
		}
	}
	return findings
}

func (s *Set) backend(o Of[*networkingv1.Ingress], b networkingv1.IngressBackend) []Finding {
	if b.Service == nil {
		return []Finding{o.Find("spec", "a backend that is no Service")}
	}
	to, ok := Get[*corev1.Service](s, b.Service.Name)
	if !ok {
		return []Finding{o.Find("spec", "no Service %s", b.Service.Name)}
	}
	port := b.Service.Port
	if !slices.ContainsFunc(to.V.Spec.Ports, func(p corev1.ServicePort) bool {
		return port.Name != "" && p.Name == port.Name || port.Number != 0 && p.Port == port.Number
	}) {
		return []Finding{o.Find("spec", "Service %s has no port %s%s", b.Service.Name, port.Name, number(port.Number))}
	}
	return nil
}

func number(n int32) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// governing holds that a StatefulSet's serviceName is a headless Service in front of it: without one its pods have no names.
func (s *Set) governing(w Workload) []Finding {
	name := serviceName(w)
	o, ok := Get[*corev1.Service](s, name)
	switch {
	case !ok:
		return []Finding{w.Find("spec.serviceName", "no Service %q", name)}
	case o.V.Spec.ClusterIP != corev1.ClusterIPNone:
		return []Finding{w.Find("spec.serviceName", "Service %s is not headless: set its clusterIP to None", name)}
	case !labels.SelectorFromSet(o.V.Spec.Selector).Matches(labels.Set(w.Pod.Labels)):
		return []Finding{w.Find("spec.serviceName", "Service %s does not select its pods", name)}
	}
	return nil
}

// selectors holds that each selector means the pods it is there for.
func selectors(s *Set) []Finding {
	var findings []Finding
	for _, w := range s.Workloads() {
		if !w.Serves() {
			continue
		}
		if want := map[string]string{"app": w.GetName()}; !same(w.Selector.MatchLabels, want) || len(w.Selector.MatchExpressions) > 0 {
			findings = append(findings, w.Find("spec.selector", "is %v: must be %v, as in the original", w.Selector.MatchLabels, want))
		}
		if !only(s.Selected(w.Selector), w) {
			findings = append(findings, w.Find("spec.selector", "does not match its own pods, and only those"))
		}
		for _, c := range w.Pod.Spec.TopologySpreadConstraints {
			if !only(s.Selected(c.LabelSelector), w) {
				findings = append(findings, w.Find("topologySpreadConstraints", "labelSelector must match its own pods"))
			}
		}
	}
	for _, o := range All[*policyv1.PodDisruptionBudget](s) {
		if n := len(s.Selected(o.V.Spec.Selector)); n != 1 && !s.operates(o.V.Spec.Selector) {
			findings = append(findings, o.Find("spec.selector", "matches %d workloads: must match one", n))
		}
	}
	for _, o := range All[*networkingv1.NetworkPolicy](s) {
		if len(s.Selected(&o.V.Spec.PodSelector)) == 0 && !s.operates(&o.V.Spec.PodSelector) {
			findings = append(findings, o.Find("spec.podSelector", "matches no workload: correct it, or remove the policy"))
		}
	}
	return findings
}

func only(found []Workload, w Workload) bool {
	return len(found) == 1 && found[0].Kind == w.Kind && found[0].GetName() == w.GetName()
}

func same(a, b map[string]string) bool { return labels.Equals(a, b) }
