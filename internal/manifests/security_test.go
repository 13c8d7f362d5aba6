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

	{"commands", "a dollar that Kubernetes takes", func(s *Set) { container(s, "rabbitmq").Args[0] += ` "\$$name"` }, []string{"StatefulSet rabbitmq: args", "container rabbitmq", "$$name"}},
	{"commands", "a dollar in the command", func(s *Set) { container(s, "auth").Command = []string{"sh", "-c", "kill $$"} }, []string{"Deployment auth: args"}},
}
