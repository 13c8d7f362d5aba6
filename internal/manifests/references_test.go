package manifests

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var referencesPlants = []plant{
	{"references of pods", "no ConfigMap", func(s *Set) { s.Remove("ConfigMap", "auth-configmap") }, []string{"Deployment auth: envFrom", "no ConfigMap auth-configmap"}},
	{"references of pods", "no Secret", func(s *Set) { s.Remove("Secret", "auth-secret") }, []string{"Deployment auth: envFrom", "no Secret auth-secret"}},
	{"references of pods", "an absent Secret that is not optional", func(s *Set) { container(s, "auth").EnvFrom[2].SecretRef.Optional = new(false) }, []string{"Deployment auth: envFrom", "no Secret auth-random"}},
	{"references of pods", "no such key in a ConfigMap", func(s *Set) {
		ref := &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "auth-configmap"}, Key: "PORT"}
		addEnv(s, corev1.EnvVar{Name: "X", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: ref}})
	}, []string{"Deployment auth: env[X]", "ConfigMap auth-configmap has no key PORT"}},
	{"references of pods", "no such key in a Secret", func(s *Set) {
		ref := &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "auth-secret"}, Key: "PORT"}
		addEnv(s, corev1.EnvVar{Name: "X", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: ref}})
	}, []string{"Deployment auth: env[X]", "Secret auth-secret has no key PORT"}},
	{"references of pods", "no such account", func(s *Set) { pod(s, "auth").ServiceAccountName = "admin" }, []string{"Deployment auth: serviceAccountName", "no ServiceAccount admin"}},
	{"references of pods", "no such claim", func(s *Set) { pod(s, "rabbitmq").Volumes[0].PersistentVolumeClaim.ClaimName = "pvc" }, []string{"StatefulSet rabbitmq: volumes[data]", "no PersistentVolumeClaim pvc"}},
	{"references of pods", "no such volume", func(s *Set) { container(s, "mysql").VolumeMounts[0].Name = "dta" }, []string{"StatefulSet mysql: volumeMounts[dta]", "no volume"}},
	{"references of pods", "a volume for nobody", func(s *Set) { container(s, "converter").VolumeMounts = nil }, []string{"Deployment converter: volumes[scratch]", "nobody mounts it"}},
	{"references of pods", "no such file in a ConfigMap", func(s *Set) {
		container(s, "rabbitmq").VolumeMounts[1].SubPath = "10.conf"
	}, []string{"StatefulSet rabbitmq: volumes[conf]", "has no key 10.conf"}},
	{"references of pods", "no such item", func(s *Set) {
		pod(s, "mysql").Volumes[0].ConfigMap.Items = []corev1.KeyToPath{{Key: "start.sql", Path: "x"}}
	}, []string{"StatefulSet mysql: volumes[init]", "has no key start.sql"}},
	{"references of pods", "no such Secret in a volume", func(s *Set) {
		pod(s, "mysql").Volumes[0].VolumeSource = corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "key"}}
	}, []string{"StatefulSet mysql: volumes[init]", "no Secret key"}},
	{"references of pods", "a probe of no port", func(s *Set) { container(s, "auth").LivenessProbe.HTTPGet.Port = intstr.FromString("op") }, []string{"Deployment auth: livenessProbe", "no port op"}},
	{"references of pods", "a TCP probe of no port", func(s *Set) { container(s, "mysql").StartupProbe.TCPSocket.Port = intstr.FromInt32(3307) }, []string{"StatefulSet mysql: startupProbe", "no port 3307"}},
	{"references of pods", "a missing thing of an init container", func(s *Set) {
		c := container(s, "mysql").DeepCopy()
		c.VolumeMounts[0].Name = "none"
		pod(s, "mysql").InitContainers = []corev1.Container{*c}
	}, []string{"StatefulSet mysql: volumeMounts[none]"}},

	{"references of services", "a Service for nobody", func(s *Set) { service(s, "auth").Spec.Selector["app"] = "aut" }, []string{"Service auth: spec.selector", "matches 0"}},
	{"references of services", "a Service for two", func(s *Set) {
		service(s, "auth").Spec.Selector = map[string]string{"app.kubernetes.io/component": "service"}
	}, []string{"Service auth: spec.selector", "matches 4"}},
	{"references of services", "a port of nobody", func(s *Set) { service(s, "auth").Spec.Ports[0].TargetPort = intstr.FromString("web") }, []string{"Service auth: spec.ports", "targetPort web"}},
	{"references of services", "a port of nobody by number", func(s *Set) {
		p := &service(s, "auth").Spec.Ports[0]
		p.Port, p.TargetPort = 5001, intstr.IntOrString{}
	}, []string{"Service auth: spec.ports", "targetPort 5001"}},
	{"references of services", "an Ingress to no Service", func(s *Set) { backendOf(s).Name = "door" }, []string{"Ingress gateway-ingress", "no Service door"}},
	{"references of services", "an Ingress to no port", func(s *Set) { backendOf(s).Port.Number = 8081 }, []string{"Ingress gateway-ingress", "has no port 8081"}},
	{"references of services", "an Ingress to no named port", func(s *Set) {
		backendOf(s).Port = networkingv1.ServiceBackendPort{Name: "web"}
	}, []string{"Ingress gateway-ingress", "has no port web"}},
	{"references of services", "an Ingress to something else", func(s *Set) {
		ingress(s, "gateway-ingress").Spec.DefaultBackend = &networkingv1.IngressBackend{}
	}, []string{"Ingress gateway-ingress", "no Service"}},
	{"references of services", "no governing Service", func(s *Set) { s.Remove("Service", "rabbitmq-nodes") }, []string{"StatefulSet rabbitmq: spec.serviceName", `no Service "rabbitmq-nodes"`}},
	{"references of services", "a governing Service that is not headless", func(s *Set) { service(s, "mysql").Spec.ClusterIP = "" }, []string{"StatefulSet mysql: spec.serviceName", "not headless"}},
	{"references of services", "a governing Service of others", func(s *Set) {
		get[*appsv1.StatefulSet](s, "mysql").Spec.ServiceName = "mongodb"
	}, []string{"StatefulSet mysql: spec.serviceName", "does not select"}},
	{"references of services", "an autoscaler of nobody", func(s *Set) {
		v := &autoscalingv2.HorizontalPodAutoscaler{}
		v.Name, v.Spec.ScaleTargetRef = "x", autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "mysql"}
		s.Objects = append(s.Objects, Object{v, "x.yaml", "HorizontalPodAutoscaler", v})
	}, []string{"x.yaml: HorizontalPodAutoscaler x", "no Deployment mysql"}},

	{"selectors", "a second label", func(s *Set) {
		get[*appsv1.Deployment](s, "auth").Spec.Selector.MatchLabels["app.kubernetes.io/name"] = "auth"
	}, []string{"Deployment auth: spec.selector", "must be map[app:auth]"}},
	{"selectors", "other pods", func(s *Set) {
		w, _ := s.Workload("auth")
		w.Pod.Labels["app"] = "gateway"
	}, []string{"Deployment auth: spec.selector", "own pods"}},
	{"selectors", "spread over others' nodes", func(s *Set) {
		pod(s, "auth").TopologySpreadConstraints[0].LabelSelector.MatchLabels["app"] = "gateway"
	}, []string{"Deployment auth: topologySpreadConstraints"}},
	{"selectors", "a budget for nobody", func(s *Set) { budget(s, "auth").Selector.MatchLabels["app"] = "x" }, []string{"PodDisruptionBudget auth", "matches 0"}},
	{"selectors", "a budget for everybody", func(s *Set) { budget(s, "auth").Selector = &metav1.LabelSelector{} }, []string{"PodDisruptionBudget auth", "matches 9"}},
	{"selectors", "a selector that is none", func(s *Set) {
		budget(s, "auth").Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Is"}}
	}, []string{"PodDisruptionBudget auth", "matches 0"}},
	{"selectors", "a policy for nobody", func(s *Set) { allow(s, "mysql").PodSelector.MatchLabels["app"] = "x" }, []string{"NetworkPolicy mysql: spec.podSelector"}},
}

func backendOf(s *Set) *networkingv1.IngressServiceBackend {
	return ingress(s, "gateway-ingress").Spec.Rules[0].HTTP.Paths[0].Backend.Service
}

func addEnv(s *Set, v corev1.EnvVar) { container(s, "auth").Env = append(container(s, "auth").Env, v) }
