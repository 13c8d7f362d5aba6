package manifests

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

var namesPlants = []plant{
	{"names", "two of one name", func(s *Set) { service(s, "mysql").Name = "auth" }, []string{"mysql.yaml: Service auth", "is in manifests/auth.yaml already"}},
	{"names", "the default namespace", func(s *Set) { service(s, "auth").Namespace = "" }, []string{"auth.yaml: Service auth: metadata.namespace", `set "mp3converter"`}},
	{"names", "a namespaced Namespace", func(s *Set) { get[*corev1.Namespace](s, Namespace).Namespace = "x" }, []string{"Namespace mp3converter: metadata.namespace", `set ""`}},
	{"names", "no Namespace", func(s *Set) { s.Remove("Namespace", Namespace) }, []string{"no Namespace mp3converter"}},

	{"contract", "a claim by another name", func(s *Set) { get[*corev1.PersistentVolumeClaim](s, "rabbitmq-pvc").Name = "data" }, []string{"no PersistentVolumeClaim rabbitmq-pvc"}},
	{"contract", "a smaller claim", func(s *Set) {
		get[*corev1.PersistentVolumeClaim](s, "rabbitmq-pvc").Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("1G")
	}, []string{"rabbitmq-pvc", "has 1G [ReadWriteOnce]"}},
	{"contract", "one converter", func(s *Set) { get[*appsv1.Deployment](s, "converter").Spec.Replicas = new(int32(1)) }, []string{"converter.yaml: Deployment converter", "has replicas 1", "replicas 4"}},
	{"contract", "no number of replicas", func(s *Set) { get[*appsv1.Deployment](s, "auth").Spec.Replicas = nil }, []string{"Deployment auth", "has replicas 1"}},
	{"contract", "another port", func(s *Set) { service(s, "gateway").Spec.Ports[0].Port = 80 }, []string{"Service gateway", "has ports 80:", "ports 8080"}},
	{"contract", "another host", func(s *Set) { ingress(s, "gateway-ingress").Spec.Rules[0].Host = "mp3convert.com" }, []string{"gateway-ingress", "mp3convert.com/ gateway:8080"}},
	{"contract", "no ingress class", func(s *Set) { ingress(s, "gateway-ingress").Spec.IngressClassName = nil }, []string{"gateway-ingress", "nginx mp3converter.com/"}},
	{"contract", "an ingress of no paths", func(s *Set) { ingress(s, "gateway-ingress").Spec.Rules[0].HTTP = nil }, []string{"gateway-ingress", "mp3converter.com/"}},
	{"contract", "random values lose", func(s *Set) { slices.Reverse(container(s, "auth").EnvFrom) }, []string{"Deployment auth: envFrom", "[auth-random auth-secret auth-configmap]"}},
	{"contract", "a prefix", func(s *Set) { container(s, "auth").EnvFrom[0].Prefix = "AUTH_" }, []string{"Deployment auth: envFrom", "prefix AUTH_"}},
	{"contract", "data elsewhere", func(s *Set) { container(s, "rabbitmq").VolumeMounts[0].MountPath = "/data" }, []string{"StatefulSet rabbitmq", "/var/lib/rabbitmq"}},
	{"contract", "no claim", func(s *Set) { pod(s, "rabbitmq").Volumes[0].PersistentVolumeClaim = nil }, []string{"StatefulSet rabbitmq", "mount rabbitmq-pvc"}},

	{"init.sql", "a changed line", func(s *Set) {
		data(s, "mysql-init")["init.sql"] = strings.Replace(s.InitSQL, "SELECT, INSERT", "ALL", 1)
	}, []string{"ConfigMap mysql-init", "line", "GRANT ALL"}},
	{"init.sql", "a newline less", func(s *Set) { s.InitSQL += "\n" }, []string{`is "", not "\n"`}},
	{"init.sql", "no init.sql", func(s *Set) { s.Remove("ConfigMap", "mysql-init") }, []string{"no ConfigMap mysql-init"}},
}
