package manifests

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var lifecyclePlants = []plant{
	{"probes", "none at the start", func(s *Set) { container(s, "auth").StartupProbe = nil }, []string{"Deployment auth: startupProbe", "add it"}},
	{"probes", "a server's liveness", func(s *Set) { container(s, "mysql").LivenessProbe = nil }, []string{"StatefulSet mysql: livenessProbe", "add it"}},
	{"probes", "killed for what it needs", func(s *Set) { container(s, "auth").LivenessProbe.HTTPGet.Path = "/readyz" }, []string{"Deployment auth: livenessProbe", "must get /livez"}},
	{"probes", "a server killed for what it needs", func(s *Set) { container(s, "mailpit").LivenessProbe.HTTPGet.Path = "/readyz?x" }, []string{"Deployment mailpit: livenessProbe", "asks /readyz"}},
	{"probes", "always ready", func(s *Set) { container(s, "auth").ReadinessProbe.HTTPGet.Path = "/livez" }, []string{"Deployment auth: readinessProbe", "must get /readyz"}},
	{"probes", "the wrong door", func(s *Set) { container(s, "auth").StartupProbe.HTTPGet.Port = intstr.FromString("http") }, []string{"Deployment auth: startupProbe", "port ops"}},
	{"probes", "by program", func(s *Set) {
		container(s, "auth").StartupProbe.ProbeHandler = corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}
	}, []string{"Deployment auth: startupProbe", "must get"}},
	{"probes", "RabbitMQ by its command line", func(s *Set) {
		container(s, "rabbitmq").ReadinessProbe.ProbeHandler = corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"rabbitmq-diagnostics"}}}
	}, []string{"StatefulSet rabbitmq: readinessProbe", "tcpSocket"}},
	{"probes", "impatient", func(s *Set) { container(s, "mysql").StartupProbe.FailureThreshold = 0 }, []string{"StatefulSet mysql: startupProbe", "waits 6 s"}},
	{"probes", "impatient by default", func(s *Set) {
		container(s, "mysql").StartupProbe.FailureThreshold, container(s, "mysql").StartupProbe.PeriodSeconds = 0, 0
	}, []string{"StatefulSet mysql: startupProbe", "waits 30 s"}},
	{"probes", "another ops port", func(s *Set) { data(s, "auth-configmap")["OPS_LISTEN"] = ":9091" }, []string{"Deployment auth: ports[ops]", "9090", "OPS_LISTEN is :9091"}},
	{"probes", "another port", func(s *Set) { container(s, "gateway").Ports[0].ContainerPort = 80 }, []string{"Deployment gateway: ports[http]", "is 80", "LISTEN is :8080"}},
	{"probes", "no port", func(s *Set) { data(s, "auth-configmap")["LISTEN"] = "here" }, []string{"Deployment auth: ports[http]", "LISTEN is here"}},

	{"stopping", "killed too soon", func(s *Set) { pod(s, "gateway").TerminationGracePeriodSeconds = new(int64(100)) }, []string{"Deployment gateway: terminationGracePeriodSeconds", "is 100", "are 143"}},
	{"stopping", "killed after the default", func(s *Set) { pod(s, "converter").TerminationGracePeriodSeconds = nil }, []string{"Deployment converter: terminationGracePeriodSeconds", "is 30"}},
	{"stopping", "more grace than time", func(s *Set) { data(s, "auth-configmap")["GRACE_SECONDS"] = "60" }, []string{"Deployment auth: terminationGracePeriodSeconds"}},
	{"stopping", "the default grace", func(s *Set) { delete(data(s, "auth-configmap"), "GRACE_SECONDS") }, []string{"Deployment auth: terminationGracePeriodSeconds", "GRACE_SECONDS 30"}},
	{"stopping", "a longer preStop", func(s *Set) { container(s, "auth").Lifecycle.PreStop.Sleep.Seconds = 30 }, []string{"Deployment auth: terminationGracePeriodSeconds", "preStop 30"}},
	{"stopping", "a shell that is not there", func(s *Set) {
		container(s, "auth").Lifecycle.PreStop = &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"sleep", "5"}}}
	}, []string{"Deployment auth: lifecycle.preStop", "use sleep"}},
	{"stopping", "gone before the endpoints know", func(s *Set) {
		container(s, "gateway").Lifecycle = nil
		data(s, "gateway-configmap")["DRAIN_SECONDS"] = "1"
	}, []string{"Deployment gateway: lifecycle.preStop", "are 1 s"}},
	{"stopping", "words", func(s *Set) { data(s, "auth-configmap")["GRACE_SECONDS"] = "long" }, []string{"Deployment auth: env", "GRACE_SECONDS"}},

	{"availability", "one less while updating", func(s *Set) {
		get[*appsv1.Deployment](s, "auth").Spec.Strategy.RollingUpdate.MaxUnavailable = new(intstr.FromInt32(1))
	}, []string{"Deployment auth: strategy", "set 0"}},
	{"availability", "Kubernetes' own strategy", func(s *Set) {
		get[*appsv1.Deployment](s, "auth").Spec.Strategy = appsv1.DeploymentStrategy{}
	}, []string{"Deployment auth: strategy", "set 0"}},
	{"availability", "all at once", func(s *Set) {
		get[*appsv1.Deployment](s, "auth").Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	}, []string{"Deployment auth: strategy", "Recreate"}},
	{"availability", "all on one node", func(s *Set) { pod(s, "auth").TopologySpreadConstraints = nil }, []string{"Deployment auth: topologySpreadConstraints"}},
	{"availability", "no budget", func(s *Set) { s.Remove("PodDisruptionBudget", "mysql") }, []string{"StatefulSet mysql: PodDisruptionBudget", "add one"}},
	{"availability", "a budget of nothing", func(s *Set) { budget(s, "auth").MaxUnavailable = new(intstr.FromInt32(0)) }, []string{"PodDisruptionBudget auth", "lets none of 2"}},
	{"availability", "a budget for its only pod", func(s *Set) {
		budget(s, "mysql").MaxUnavailable, budget(s, "mysql").MinAvailable = nil, new(intstr.FromInt32(1))
	}, []string{"PodDisruptionBudget mysql", "lets none of 1"}},
	{"availability", "a budget of all", func(s *Set) {
		budget(s, "auth").MaxUnavailable, budget(s, "auth").MinAvailable = nil, new(intstr.FromString("100%"))
	}, []string{"PodDisruptionBudget auth", "lets none"}},
}

func TestAJobNeedsNeitherProbesNorABudget(t *testing.T) {
	const job = `apiVersion: batch/v1
kind: Job
metadata: {name: once, namespace: mp3converter}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: once, image: "mp3converter/once:1.0.0"}]
`
	objects, findings := Decode("f", job, Kubernetes)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	s := &Set{Objects: objects}
	for _, check := range []func(*Set) []Finding{probes, stopping, availability, selectors} {
		for _, f := range check(s) {
			t.Error(f)
		}
	}
	expect(t, security(s), "f: Job once", "runAsUser")
}
