package manifests

import (
	"slices"
)

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
		for _, claim := range w.Claims {
			findings = append(findings, kept(w.Object, "volumeClaimTemplates["+claim.Name+"].labels", claim.Labels, true)...)
		}
	}
	return findings
}

// podLabels holds that a pod can be told by what it is and of which version.
func podLabels(s *Set) []Finding {
	var findings []Finding
	for _, w := range s.Workloads() {
		has := w.Pod.Labels
		findings = append(findings, labelled(w.Object, "spec.template.labels", has)...)
		if version, want := has["app.kubernetes.io/version"], tagOf(w.Container().Image); version != want && (version != "" || w.Ours()) {
			findings = append(findings, w.Find("spec.template.labels[app.kubernetes.io/version]", "is %q: the image is %s", version, want))
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
	return []Finding{o.Find(field+"["+keepLabel+"]", "is %q: it must be \"true\" on the namespace and on claims, and on nothing else", has[keepLabel])}
}
