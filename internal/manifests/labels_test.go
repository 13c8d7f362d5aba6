package manifests

import corev1 "k8s.io/api/core/v1"

var labelsPlants = []plant{
	{"labels", "no component", func(s *Set) { delete(service(s, "auth").Labels, "app.kubernetes.io/component") }, []string{"Service auth: labels[app.kubernetes.io/component]"}},
	{"labels", "part of another", func(s *Set) { service(s, "auth").Labels["app.kubernetes.io/part-of"] = "x" }, []string{"Service auth: labels[app.kubernetes.io/part-of]", "set mp3converter"}},
	{"labels", "another name", func(s *Set) { service(s, "auth").Labels["app.kubernetes.io/name"] = "x" }, []string{"Service auth: labels[app.kubernetes.io/name]", "set auth"}},
	{"labels of pods", "none on pods", func(s *Set) {
		w, _ := s.Workload("auth")
		w.Pod.Labels = map[string]string{"app": "auth"}
	}, []string{"Deployment auth: spec.template.labels[app.kubernetes.io/name]", "set auth"}},
	{"labels of pods", "another version", func(s *Set) { container(s, "auth").Image = "mp3converter/auth:1.0.1" }, []string{"Deployment auth: spec.template.labels[app.kubernetes.io/version]", "1.0.1"}},
	{"labels of pods", "no version", func(s *Set) {
		w, _ := s.Workload("auth")
		delete(w.Pod.Labels, "app.kubernetes.io/version")
	}, []string{"Deployment auth: spec.template.labels[app.kubernetes.io/version]"}},
	{"labels", "a claim that goes", func(s *Set) { delete(get[*corev1.PersistentVolumeClaim](s, "rabbitmq-pvc").Labels, keepLabel) }, []string{"PersistentVolumeClaim rabbitmq-pvc", keepLabel}},
	{"labels", "a template's claim that goes", func(s *Set) {
		w, _ := s.Workload("mysql")
		delete(w.Claims[0].Labels, keepLabel)
	}, []string{"StatefulSet mysql: volumeClaimTemplates[data]", keepLabel}},
	{"labels", "a Service that stays", func(s *Set) { service(s, "auth").Labels[keepLabel] = "true" }, []string{"Service auth", keepLabel}},
}
