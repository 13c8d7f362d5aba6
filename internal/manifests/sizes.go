package manifests

import (
	"fmt"
	"regexp"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const mebi = 1 << 20

// What one transfer takes of the gateway's memory at most; README's section Measured has what was seen.
const (
	uploadBytes   = 20 * mebi
	downloadBytes = 4 * mebi
)

// decodedBytes is what a conversion on several cores keeps in the scratch folder besides: sound as floats, see SCRATCH_DIR.
const decodedBytes = 256e6

// numbers reads settings as numbers, and notes those that are none.
type numbers struct {
	w        Workload
	env      map[string]string
	findings []Finding
}

func (s *Set) numbers(w Workload) *numbers { return &numbers{w: w, env: s.Effective(w)} }

func (n *numbers) get(name string) float64 {
	value, err := strconv.ParseFloat(n.env[name], 64)
	if err != nil {
		n.findings = append(n.findings, n.w.Find("env["+name+"]", "is no number, and a size depends on it"))
	}
	return value
}

// sizes holds that memory, scratch and MongoDB's volume suffice for what the settings let in.
func sizes(s *Set) []Finding {
	gateway, ok1 := s.Workload("gateway")
	converter, ok2 := s.Workload("converter")
	if !ok1 || !ok2 {
		return nil
	}
	g, c := s.numbers(gateway), s.numbers(converter)
	var findings []Finding

	needs := g.get("MAX_UPLOADS")*uploadBytes + g.get("MAX_DOWNLOADS")*downloadBytes
	if limit := gateway.Container().Resources.Limits.Memory(); limit.AsApproximateFloat64() < needs {
		findings = append(findings, gateway.Find("resources.limits.memory", "is %s: MAX_UPLOADS × 20 MiB + MAX_DOWNLOADS × 4 MiB are %.0f MiB", limit, needs/mebi))
	}

	workers := c.get("WORKERS")
	if workers < 1 {
		findings = append(findings, converter.Find("env[WORKERS]", "say how many: as many as the node has processors may be more than the scratch volume takes"))
	}
	needs = workers * (g.get("MAX_UPLOAD_BYTES") + c.get("MAX_MP3_BYTES") + decodedBytes)
	if size := scratch(converter, c.env["SCRATCH_DIR"]); size == nil || size.AsApproximateFloat64() < needs {
		findings = append(findings, converter.Find("volumes", "the one at SCRATCH_DIR %s has %v: WORKERS × (MAX_UPLOAD_BYTES + MAX_MP3_BYTES + 256 MB) are %.0f MiB", c.env["SCRATCH_DIR"], size, needs/mebi))
	}
	findings = append(findings, quotas(s, gateway, g)...)
	return append(findings, append(g.findings, c.findings...)...)
}

// quotas holds that one user cannot fill the store that all share, where it is one of ours.
func quotas(s *Set, gateway Workload, g *numbers) []Finding {
	store, ok := s.Workload("mongodb")
	if !ok || len(store.Claims) == 0 {
		return nil
	}
	volume := store.Claims[0].Spec.Resources.Requests.Storage()
	if bytes := g.get("QUOTA_BYTES"); bytes < 1 || bytes > volume.AsApproximateFloat64()/2 {
		return []Finding{gateway.Find("env[QUOTA_BYTES]", "is %.0f MiB: it leaves others too little of mongodb's volume of %s", bytes/mebi, volume)}
	}
	return nil
}

// scratch is the size of the volume that is mounted at a folder; nil if none is.
func scratch(w Workload, folder string) *resource.Quantity {
	for _, m := range w.Container().VolumeMounts {
		for _, v := range w.Pod.Spec.Volumes {
			switch {
			case m.MountPath != folder || v.Name != m.Name:
			case v.EmptyDir != nil:
				return v.EmptyDir.SizeLimit
			case v.Ephemeral != nil:
				return v.Ephemeral.VolumeClaimTemplate.Spec.Resources.Requests.Storage()
			}
		}
	}
	return nil
}

var consumerTimeout = regexp.MustCompile(`(?m)^consumer_timeout *= *(\d+)$`)

// timeouts holds that nobody on the way gives up before who works: the broker with a conversion, the ingress with an upload.
func timeouts(s *Set) []Finding {
	return append(brokerTimeout(s), ingressTimeouts(s)...)
}

func brokerTimeout(s *Set) []Finding {
	gateway, ok1 := s.Workload("gateway")
	converter, ok2 := s.Workload("converter")
	if !ok1 || !ok2 {
		return nil
	}
	g, c := s.numbers(gateway), s.numbers(converter)
	var findings []Finding
	says := c.get("CONSUMER_TIMEOUT_SECONDS")
	// As FFMPEG_WALL_SECONDS is documented: so long, and a second for every 16 MiB of video and every 5 seconds of sound.
	longest := c.get("FFMPEG_WALL_SECONDS") + g.get("MAX_UPLOAD_BYTES")/(16*mebi) + c.get("MAX_DURATION_SECONDS")/5
	if says <= longest {
		findings = append(findings, converter.Find("env[CONSUMER_TIMEOUT_SECONDS]", "is %g: the longest conversion takes %.0f", says, longest))
	}
	findings = append(findings, brokerSays(s, says)...)
	return append(findings, append(g.findings, c.findings...)...)
}

// brokerSays holds that RabbitMQ's own configuration waits as long as the services say.
func brokerSays(s *Set, seconds float64) []Finding {
	for where, text := range s.brokerConfigs() {
		found := consumerTimeout.FindStringSubmatch(text)
		if found == nil {
			continue
		}
		if ms, err := strconv.ParseFloat(found[1], 64); err != nil || ms < seconds*1000 {
			return []Finding{Finding(fmt.Sprintf("%s: consumer_timeout is %s ms: CONSUMER_TIMEOUT_SECONDS is %g", where, found[1], seconds))}
		}
		return nil
	}
	return []Finding{"RabbitMQ is told no consumer_timeout: it would give up after 30 minutes"}
}

const ingressSeconds = 600

func ingressTimeouts(s *Set) []Finding {
	const nginx = "nginx.ingress.kubernetes.io/"
	var findings []Finding
	for _, o := range All[*networkingv1.Ingress](s) {
		for _, name := range []string{nginx + "proxy-read-timeout", nginx + "proxy-send-timeout"} {
			if n, err := strconv.Atoi(o.V.Annotations[name]); err != nil || n < ingressSeconds {
				findings = append(findings, o.Find("annotations["+name+"]", "is %q: set %d or more", o.V.Annotations[name], ingressSeconds))
			}
		}
		if !leadsTo(o.V, "gateway") {
			continue
		}
		for name, want := range map[string]string{nginx + "proxy-body-size": "0", nginx + "proxy-request-buffering": "off"} {
			if got := o.V.Annotations[name]; got != want {
				findings = append(findings, o.Find("annotations["+name+"]", "is %q: set %q", got, want))
			}
		}
	}
	return findings
}

// A minikube as it is made by default, and what Kubernetes itself takes of it.
var (
	minikubeMemory = resource.MustParse("4Gi")
	systemMemory   = resource.MustParse("700Mi")
	minikubeCPU    = resource.MustParse("2")
	systemCPU      = resource.MustParse("1100m") // control plane 650, CoreDNS 100, ingress-nginx 100, Calico 250
)

// fits holds that a default minikube schedules every pod, and one more of each Deployment while it is updated.
func fits(s *Set) []Finding {
	memory, cpu := systemMemory.DeepCopy(), systemCPU.DeepCopy()
	var extra resource.Quantity // updates that wait for each other end all the same: only one surge must have room
	for _, w := range s.Workloads() {
		var mem, core resource.Quantity
		for _, c := range w.Pod.Spec.Containers {
			mem.Add(*c.Resources.Requests.Memory())
			core.Add(*c.Resources.Requests.Cpu())
		}
		for range w.Replicas {
			memory.Add(mem)
			cpu.Add(core)
		}
		if surges(w) {
			memory.Add(mem)
			if core.Cmp(extra) > 0 {
				extra = core
			}
		}
	}
	cpu.Add(extra)
	var findings []Finding
	if memory.Cmp(minikubeMemory) > 0 {
		findings = append(findings, Finding(fmt.Sprintf("resources.requests.memory: all pods, one more of each Deployment and Kubernetes itself ask for %s, minikube has %s", &memory, &minikubeMemory)))
	}
	if cpu.Cmp(minikubeCPU) > 0 {
		findings = append(findings, Finding(fmt.Sprintf("resources.requests.cpu: all pods, one more while updating and Kubernetes itself ask for %s, minikube has %s", &cpu, &minikubeCPU)))
	}
	return findings
}

func surges(w Workload) bool {
	d, ok := w.Value.(*appsv1.Deployment)
	return ok && d.Spec.Strategy.RollingUpdate != nil && d.Spec.Strategy.RollingUpdate.MaxSurge != nil &&
		*d.Spec.Strategy.RollingUpdate.MaxSurge != intstr.FromInt32(0)
}
