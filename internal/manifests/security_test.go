package manifests

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

var securityPlants = []plant{
	{"restricted", "escalation", func(s *Set) { container(s, "auth").SecurityContext.AllowPrivilegeEscalation = nil }, []string{"auth.yaml: Deployment auth", "allowPrivilegeEscalation"}},
	{"restricted", "capabilities", func(s *Set) { container(s, "mysql").SecurityContext.Capabilities = nil }, []string{"StatefulSet mysql", "capabilities"}},
	{"restricted", "root", func(s *Set) { pod(s, "rabbitmq").SecurityContext.RunAsNonRoot = nil }, []string{"StatefulSet rabbitmq", "runAsNonRoot"}},
	{"restricted", "seccomp", func(s *Set) { pod(s, "mongodb").SecurityContext.SeccompProfile = nil }, []string{"StatefulSet mongodb", "seccomp"}},
	{"restricted", "the node's files", func(s *Set) {
		pod(s, "mysql").Volumes[0].VolumeSource = corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}
	}, []string{"StatefulSet mysql", "hostPath"}},
	{"restricted", "the node's network", func(s *Set) { pod(s, "auth").HostNetwork = true }, []string{"Deployment auth", "host namespaces"}},
	{"restricted", "a second container", func(s *Set) { pod(s, "auth").InitContainers = []corev1.Container{{Name: "init", Image: "x:1"}} }, []string{"Deployment auth", `"init"`}},
	{"restricted", "a namespace that only warns", func(s *Set) {
		delete(get[*corev1.Namespace](s, Namespace).Labels, "pod-security.kubernetes.io/enforce")
	}, []string{"Namespace mp3converter", "set restricted"}},

	{"security", "a token", func(s *Set) { pod(s, "auth").AutomountServiceAccountToken = nil }, []string{"Deployment auth: automountServiceAccountToken"}},
	{"security", "a wanted token", func(s *Set) { pod(s, "auth").AutomountServiceAccountToken = new(true) }, []string{"Deployment auth: automountServiceAccountToken"}},
	{"security", "whatever user the image says", func(s *Set) { pod(s, "mysql").SecurityContext.RunAsUser = nil }, []string{"StatefulSet mysql: runAsUser", "container mysql"}},
	{"security", "no pod's security at all", func(s *Set) { pod(s, "mysql").SecurityContext = nil }, []string{"StatefulSet mysql: runAsUser"}},
	{"security", "root in a container", func(s *Set) { container(s, "mysql").SecurityContext.RunAsUser = new(int64(0)) }, []string{"StatefulSet mysql: runAsUser"}},
	{"security", "a root that can be written", func(s *Set) { container(s, "auth").SecurityContext.ReadOnlyRootFilesystem = nil }, []string{"Deployment auth: readOnlyRootFilesystem"}},
	{"security", "scratch without end", func(s *Set) { pod(s, "converter").Volumes[0].EmptyDir.SizeLimit = nil }, []string{"Deployment converter: volumes[scratch]"}},
	{"security", "scratch of 0", func(s *Set) { pod(s, "converter").Volumes[0].EmptyDir.SizeLimit = resource.NewQuantity(0, "") }, []string{"Deployment converter: volumes[scratch]"}},

	{"resources", "no cpu asked for", func(s *Set) { delete(container(s, "auth").Resources.Requests, "cpu") }, []string{"Deployment auth: resources.requests.cpu"}},
	{"resources", "no memory asked for", func(s *Set) { delete(container(s, "auth").Resources.Requests, "memory") }, []string{"Deployment auth: resources.requests.memory"}},
	{"resources", "memory without end", func(s *Set) { delete(container(s, "mysql").Resources.Limits, "memory") }, []string{"StatefulSet mysql: resources.limits.memory"}},
	{"resources", "more than allowed", func(s *Set) { container(s, "mysql").Resources.Requests["memory"] = resource.MustParse("2Gi") }, []string{"StatefulSet mysql: resources", "more memory"}},
	{"resources", "Go is not told", func(s *Set) { container(s, "auth").Env = nil }, []string{"Deployment auth: env[GOMEMLIMIT]", "set it"}},
	{"resources", "Go is told too much", func(s *Set) { container(s, "auth").Env[0].Value = "1GiB" }, []string{"Deployment auth: env[GOMEMLIMIT]", "more than"}},
	{"resources", "Go is told bytes", func(s *Set) { container(s, "auth").Env[0].Value = "268435457" }, []string{"Deployment auth: env[GOMEMLIMIT]", "more than"}},
	{"resources", "Go is told in Kubernetes' words", func(s *Set) { container(s, "auth").Env[0].Value = "200Mi" }, []string{"Deployment auth: env[GOMEMLIMIT]", "none of Go's"}},

	{"images", "latest", func(s *Set) { container(s, "mysql").Image = "mysql:latest" }, []string{"StatefulSet mysql: image"}},
	{"images", "no tag", func(s *Set) { container(s, "mysql").Image = "localhost:5000/mysql" }, []string{"StatefulSet mysql: image"}},
	{"images", "always pulled", func(s *Set) { container(s, "auth").ImagePullPolicy = "" }, []string{"Deployment auth: imagePullPolicy"}},

	{"labels", "no component", func(s *Set) { delete(service(s, "auth").Labels, "app.kubernetes.io/component") }, []string{"Service auth: labels[app.kubernetes.io/component]"}},
	{"labels", "part of another", func(s *Set) { service(s, "auth").Labels["app.kubernetes.io/part-of"] = "x" }, []string{"Service auth: labels[app.kubernetes.io/part-of]", "set mp3converter"}},
	{"labels", "another name", func(s *Set) { service(s, "auth").Labels["app.kubernetes.io/name"] = "x" }, []string{"Service auth: labels[app.kubernetes.io/name]", "set auth"}},
	{"labels", "none on pods", func(s *Set) {
		w, _ := s.Workload("auth")
		w.Pod.Labels = map[string]string{"app": "auth"}
	}, []string{"Deployment auth: spec.template.labels[app.kubernetes.io/name]", "set auth"}},
	{"labels", "another version", func(s *Set) { container(s, "auth").Image = "mp3converter/auth:1.0.1" }, []string{"Deployment auth: spec.template.labels[app.kubernetes.io/version]", "1.0.1"}},
	{"labels", "no version", func(s *Set) {
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
