package manifests

import (
	"net"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func probesOf(c *corev1.Container) map[string]*corev1.Probe {
	return map[string]*corev1.Probe{"startupProbe": c.StartupProbe, "livenessProbe": c.LivenessProbe, "readinessProbe": c.ReadinessProbe}
}

// probes holds that each pod is asked the right things at the right door.
func probes(s *Set) []Finding {
	var findings []Finding
	for _, w := range s.Workloads() {
		if !w.Serves() {
			continue
		}
		for name, p := range probesOf(w.Container()) {
			if p == nil {
				findings = append(findings, w.Find(name, "add it"))
				continue
			}
			if w.Ours() {
				findings = append(findings, ourProbe(w, name, p)...)
			}
			if w.GetName() == "rabbitmq" && p.TCPSocket == nil {
				findings = append(findings, w.Find(name, "ask by tcpSocket: RabbitMQ's command line takes a core for seconds"))
			}
			if name == "livenessProbe" && p.HTTPGet != nil && pathOf(p) == "/readyz" {
				findings = append(findings, w.Find(name, "asks /readyz: what a pod needs would get it killed; ask /livez"))
			}
			if name == "startupProbe" && patience(p) < 60 {
				findings = append(findings, w.Find(name, "waits %d s: give a slow machine 60", patience(p)))
			}
		}
		if w.Ours() {
			findings = append(findings, s.doors(w)...)
		}
	}
	return findings
}

func ourProbe(w Workload, name string, p *corev1.Probe) []Finding {
	want := "/livez"
	if name == "readinessProbe" {
		want = "/readyz"
	}
	if p.HTTPGet == nil || pathOf(p) != want || p.HTTPGet.Port.StrVal != "ops" {
		return []Finding{w.Find(name, "must get %s on port ops", want)}
	}
	return nil
}

func pathOf(p *corev1.Probe) string {
	path, _, _ := strings.Cut(p.HTTPGet.Path, "?")
	return path
}

// patience is how many seconds a probe may fail for; the zero values mean what Kubernetes makes of them.
func patience(p *corev1.Probe) int32 {
	period, failures := p.PeriodSeconds, p.FailureThreshold
	if period == 0 {
		period = 10
	}
	if failures == 0 {
		failures = 3
	}
	return period * failures
}

// doors holds that the ports declared are those that the service is told to listen on.
func (s *Set) doors(w Workload) []Finding {
	var findings []Finding
	env := s.Effective(w)
	for variable, port := range map[string]string{"OPS_LISTEN": "ops", "LISTEN": "http"} {
		if env[variable] == "" {
			continue
		}
		_, want, err := net.SplitHostPort(env[variable])
		declared, ok := w.Port(intstr.FromString(port))
		if err != nil || !ok || strconv.Itoa(int(declared)) != want {
			findings = append(findings, w.Find("ports["+port+"]", "is %d: %s is %s", declared, variable, env[variable]))
		}
	}
	return findings
}

// endSeconds is what a service needs after its grace, to give back what it could not end; README says so.
const endSeconds = 15

// stopping holds that a pod has the time to stop that its settings promise it, and leaves the endpoints before it does.
func stopping(s *Set) []Finding {
	var findings []Finding
	for _, w := range s.Workloads() {
		if !w.Ours() || !w.Serves() {
			continue
		}
		env := s.Effective(w)
		drain, err1 := strconv.ParseFloat(env["DRAIN_SECONDS"], 64)
		grace, err2 := strconv.ParseFloat(env["GRACE_SECONDS"], 64)
		if err1 != nil || err2 != nil {
			findings = append(findings, w.Find("env", "DRAIN_SECONDS and GRACE_SECONDS must be numbers"))
			continue
		}
		slept, ok := preStop(w.Container())
		if !ok {
			findings = append(findings, w.Find("lifecycle.preStop", "use sleep: the image has no program to run"))
		}
		has := int64(30) // Kubernetes' default
		if w.Pod.Spec.TerminationGracePeriodSeconds != nil {
			has = *w.Pod.Spec.TerminationGracePeriodSeconds
		}
		if needs := float64(slept) + drain + grace + endSeconds; float64(has) < needs {
			findings = append(findings, w.Find("terminationGracePeriodSeconds", "is %d: preStop %d, DRAIN_SECONDS %g, GRACE_SECONDS %g and %d more are %g",
				has, slept, drain, grace, endSeconds, needs))
		}
		if s.called(w) && float64(slept)+drain < 3 {
			findings = append(findings, w.Find("lifecycle.preStop", "preStop and DRAIN_SECONDS are %g s: a Service's endpoints take 3 to follow", float64(slept)+drain))
		}
	}
	return findings
}

// preStop returns for how long the container sleeps before SIGTERM; false if it does something else.
func preStop(c *corev1.Container) (int64, bool) {
	switch {
	case c.Lifecycle == nil || c.Lifecycle.PreStop == nil:
		return 0, true
	case c.Lifecycle.PreStop.Sleep == nil:
		return 0, false
	}
	return c.Lifecycle.PreStop.Sleep.Seconds, true
}

// called reports whether a Service leads to the pods.
func (s *Set) called(w Workload) bool {
	return slices.ContainsFunc(All[*corev1.Service](s), func(o Of[*corev1.Service]) bool { return o.V.Spec.Selector["app"] == w.GetName() })
}

// availability holds that neither a new version nor a drained node takes a service away, and that a drain is possible.
func availability(s *Set) []Finding {
	var findings []Finding
	for _, w := range s.Workloads() {
		if !w.Serves() {
			continue
		}
		if d, ok := w.Value.(*appsv1.Deployment); ok {
			findings = append(findings, updates(w, d.Spec.Strategy)...)
		}
		if w.Replicas > 1 && len(w.Pod.Spec.TopologySpreadConstraints) == 0 {
			findings = append(findings, w.Find("topologySpreadConstraints", "spread its %d pods over nodes", w.Replicas))
		}
		findings = append(findings, s.budget(w)...)
	}
	return findings
}

func updates(w Workload, strategy appsv1.DeploymentStrategy) []Finding {
	if strategy.Type == appsv1.RecreateDeploymentStrategyType {
		if w.Replicas <= 1 && slices.ContainsFunc(w.Pod.Spec.Volumes, func(v corev1.Volume) bool { return v.PersistentVolumeClaim != nil }) {
			return nil // two would fight for the volume
		}
		return []Finding{w.Find("strategy", "is Recreate without a volume of its own: use RollingUpdate")}
	}
	if strategy.RollingUpdate == nil || strategy.RollingUpdate.MaxUnavailable == nil || strategy.RollingUpdate.MaxUnavailable.String() != "0" {
		return []Finding{w.Find("strategy.rollingUpdate.maxUnavailable", "set 0")}
	}
	return nil
}

func (s *Set) budget(w Workload) []Finding {
	for _, o := range All[*policyv1.PodDisruptionBudget](s) {
		if !only(s.Selected(o.V.Spec.Selector), w) {
			continue
		}
		least, most := o.V.Spec.MinAvailable, o.V.Spec.MaxUnavailable
		switch {
		case most != nil && (most.String() == "0" || most.String() == "0%"),
			least != nil && (least.String() == "100%" || least.Type == intstr.Int && least.IntVal >= w.Replicas):
			return []Finding{o.Find("spec", "lets none of %d pods go: no node could ever be drained", w.Replicas)}
		}
		return nil
	}
	return []Finding{w.Find("PodDisruptionBudget", "add one for it")}
}

// serviceName is the headless Service that a StatefulSet names.
func serviceName(w Workload) string {
	if v, ok := w.Value.(*appsv1.StatefulSet); ok {
		return v.Spec.ServiceName
	}
	return ""
}
