package manifests

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

var sizesPlants = []plant{
	{"sizes", "more uploads than memory", func(s *Set) { data(s, "gateway-configmap")["MAX_UPLOADS"] = "64" }, []string{"Deployment gateway: resources.limits.memory", "is 1Gi", "1536 MiB"}},
	{"sizes", "the default downloads", func(s *Set) { delete(data(s, "gateway-configmap"), "MAX_DOWNLOADS") }, []string{"Deployment gateway: resources.limits.memory", "1664 MiB"}},
	{"sizes", "less memory", func(s *Set) { container(s, "gateway").Resources.Limits["memory"] = resource.MustParse("895Mi") }, []string{"Deployment gateway: resources.limits.memory", "895Mi", "896 MiB"}},
	{"sizes", "words", func(s *Set) { data(s, "gateway-configmap")["MAX_UPLOADS"] = "many" }, []string{"Deployment gateway: env[MAX_UPLOADS]", "no number"}},
	{"sizes", "more workers than scratch", func(s *Set) { data(s, "converter-configmap")["WORKERS"] = "2" }, []string{"Deployment converter: volumes", "8704Mi", "16872 MiB"}},
	{"sizes", "as many workers as processors", func(s *Set) { delete(data(s, "converter-configmap"), "WORKERS") }, []string{"Deployment converter: env[WORKERS]", "say how many"}},
	{"sizes", "larger videos", func(s *Set) { data(s, "gateway-configmap")["MAX_UPLOAD_BYTES"] = "8589934592" }, []string{"Deployment converter: volumes", "12532 MiB"}},
	{"sizes", "larger MP3s", func(s *Set) { data(s, "converter-configmap")["MAX_MP3_BYTES"] = "8589934592" }, []string{"Deployment converter: volumes", "12532 MiB"}},
	{"sizes", "scratch elsewhere", func(s *Set) { delete(data(s, "converter-configmap"), "SCRATCH_DIR") }, []string{"Deployment converter: volumes", "SCRATCH_DIR /tmp"}},

	{"sizes", "more for one user", func(s *Set) { data(s, "gateway-configmap")["QUOTA_BYTES"] = "12884901888" }, []string{"Deployment gateway: env[QUOTA_BYTES]", "12288 MiB", "20Gi"}},
	{"sizes", "all for one user", func(s *Set) { data(s, "gateway-configmap")["QUOTA_BYTES"] = "0" }, []string{"Deployment gateway: env[QUOTA_BYTES]"}},
	{"sizes", "the default for one user", func(s *Set) { delete(data(s, "gateway-configmap"), "QUOTA_BYTES") }, []string{"Deployment gateway: env[QUOTA_BYTES]", "102400 MiB"}},

	{"timeouts", "the broker gives up", func(s *Set) { conf(s, "14400000", "1800000") }, []string{"ConfigMap rabbitmq-conf", "1800000 ms", "14400"}},
	{"timeouts", "the broker's own patience", func(s *Set) { conf(s, "consumer_timeout", "# consumer_timeout") }, []string{"told no consumer_timeout"}},
	{"timeouts", "services that want more", func(s *Set) { data(s, "converter-configmap")["CONSUMER_TIMEOUT_SECONDS"] = "20000" }, []string{"ConfigMap rabbitmq-conf", "20000"}},
	{"timeouts", "longer conversions", func(s *Set) { data(s, "converter-configmap")["MAX_DURATION_SECONDS"] = "86400" }, []string{"Deployment converter: env[CONSUMER_TIMEOUT_SECONDS]", "17566"}},
	{"timeouts", "larger videos", func(s *Set) { data(s, "gateway-configmap")["MAX_UPLOAD_BYTES"] = "109951162777600" }, []string{"env[CONSUMER_TIMEOUT_SECONDS]", "is 14400"}},
	{"timeouts", "words", func(s *Set) { data(s, "gateway-configmap")["MAX_UPLOAD_BYTES"] = "4Gi" }, []string{"Deployment gateway: env[MAX_UPLOAD_BYTES]"}},
	{"timeouts", "a minute for a download", func(s *Set) {
		delete(ingress(s, "gateway-ingress").Annotations, "nginx.ingress.kubernetes.io/proxy-read-timeout")
	}, []string{"Ingress gateway-ingress: annotations[nginx.ingress.kubernetes.io/proxy-read-timeout]"}},
	{"timeouts", "a minute for an upload", func(s *Set) {
		ingress(s, "gateway-ingress").Annotations["nginx.ingress.kubernetes.io/proxy-send-timeout"] = "60"
	}, []string{"Ingress gateway-ingress: annotations[nginx.ingress.kubernetes.io/proxy-send-timeout]", `is "60"`}},
	{"timeouts", "1 MiB", func(s *Set) {
		delete(ingress(s, "gateway-ingress").Annotations, "nginx.ingress.kubernetes.io/proxy-body-size")
	}, []string{"Ingress gateway-ingress: annotations[nginx.ingress.kubernetes.io/proxy-body-size]", `set "0"`}},
	{"timeouts", "videos on the ingress' disk", func(s *Set) {
		ingress(s, "gateway-ingress").Annotations["nginx.ingress.kubernetes.io/proxy-request-buffering"] = "on"
	}, []string{"proxy-request-buffering]", `set "off"`}},

	{"fits minikube", "a large MongoDB", func(s *Set) { container(s, "mongodb").Resources.Requests["memory"] = resource.MustParse("2300Mi") }, []string{"requests.memory", "4Gi"}},
	{"fits minikube", "room for an update", func(s *Set) { container(s, "gateway").Resources.Requests["memory"] = resource.MustParse("740Mi") }, []string{"requests.memory", "4Gi"}},
	{"fits minikube", "busy converters", func(s *Set) { container(s, "converter").Resources.Requests["cpu"] = resource.MustParse("70m") }, []string{"requests.cpu", "minikube has 2"}},
}

func conf(s *Set, old, text string) {
	for name, all := range data(s, "rabbitmq-conf") {
		data(s, "rabbitmq-conf")[name] = strings.Replace(all, old, text, 1)
	}
}

func TestScratchMayBeAVolumeOfItsOwn(t *testing.T) {
	s := shipped(t)
	claim := corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("8437Mi")}}}
	pod(s, "converter").Volumes[0].VolumeSource = corev1.VolumeSource{
		Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: claim}},
	}
	for _, f := range sizes(s) {
		t.Error(f)
	}
	claim.Resources.Requests["storage"] = resource.MustParse("8436Mi")
	expect(t, sizes(s), "Deployment converter: volumes", "8436Mi")
}
