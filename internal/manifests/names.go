package manifests

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// clusterWide are the kinds that live in no namespace.
var clusterWide = []string{"Namespace", "ClusterRole", "ClusterRoleBinding", "GatewayClass", "ClusterSecretStore"}

// names holds that no two objects are one, and that all but the Namespace are in it.
func names(s *Set) []Finding {
	var findings []Finding
	seen := map[string]Object{}
	for _, o := range s.Objects {
		id := fmt.Sprint(o.Value.GetObjectKind().GroupVersionKind().GroupKind(), o.GetNamespace(), "/", o.GetName())
		if first, twice := seen[id]; twice {
			findings = append(findings, o.Find("metadata.name", "is in %s already: rename one", first.File))
		}
		seen[id] = o
		want := Namespace
		if slices.Contains(clusterWide, o.Kind) {
			want = ""
		}
		if o.GetNamespace() != want {
			findings = append(findings, o.Find("metadata.namespace", "is %q: set %q", o.GetNamespace(), want))
		}
	}
	if !s.Has("Namespace", Namespace) {
		findings = append(findings, Finding("no Namespace "+Namespace+": add it"))
	}
	return findings
}

// contracted is contract.md's table of Kubernetes objects, and what ours adds: kind, name, and what it must have.
var contracted = []struct{ kind, name, has string }{
	{"Namespace", Namespace, ""},
	{"Deployment", "auth", "replicas 2"}, {"Deployment", "gateway", "replicas 2"},
	{"Deployment", "converter", "replicas 4"}, {"Deployment", "notification", "replicas 4"},
	{"Deployment", "mailpit", "replicas 1"},
	{"StatefulSet", "rabbitmq", "replicas 1"}, {"StatefulSet", "mysql", "replicas 1"}, {"StatefulSet", "mongodb", "replicas 1"},
	{"ConfigMap", "auth-configmap", ""}, {"Secret", "auth-secret", ""},
	{"ConfigMap", "gateway-configmap", ""}, {"Secret", "gateway-secret", ""},
	{"ConfigMap", "converter-configmap", ""}, {"Secret", "converter-secret", ""},
	{"ConfigMap", "notification-configmap", ""}, {"Secret", "notification-secret", ""},
	{"ConfigMap", "rabbitmq-configmap", ""}, {"Secret", "rabbitmq-secret", ""},
	{"Service", "auth", "ports 5000"}, {"Service", "gateway", "ports 8080"}, {"Service", "rabbitmq", "ports 5672 15672"},
	{"Service", "mysql", "ports 3306"}, {"Service", "mongodb", "ports 27017"}, {"Service", "mailpit", "ports 1025 8025"},
	{"PersistentVolumeClaim", "rabbitmq-pvc", "1Gi [ReadWriteOnce]"},
	{"Ingress", "gateway-ingress", "nginx mp3converter.com/ gateway:8080"},
	{"Ingress", "rabbitmq-ingress", "nginx rabbitmq-manager.com/ rabbitmq:15672"},
	{"Ingress", "mailpit-ingress", "nginx mail.mp3converter.com/ mailpit:8025"},
}

// contract holds that the objects that users of the original know are there.
func contract(s *Set) []Finding {
	var findings []Finding
	for _, want := range contracted {
		i := slices.IndexFunc(s.Objects, func(o Object) bool { return o.Kind == want.kind && o.GetName() == want.name })
		if i < 0 {
			findings = append(findings, Finding(fmt.Sprintf("no %s %s: contract.md names it", want.kind, want.name)))
			continue
		}
		if got := s.has(s.Objects[i]); want.has != "" && got != want.has {
			findings = append(findings, s.Objects[i].Find("spec", "has %s: contract.md says %s", got, want.has))
		}
	}
	return append(findings, s.contractedPods()...)
}

// has words what the contract says of an object.
func (s *Set) has(o Object) string {
	switch v := o.Value.(type) {
	case *corev1.Service:
		var ports []string
		for _, p := range v.Spec.Ports {
			ports = append(ports, fmt.Sprint(p.Port))
		}
		return "ports " + strings.Join(ports, " ")
	case *corev1.PersistentVolumeClaim:
		return fmt.Sprint(v.Spec.Resources.Requests.Storage(), " ", v.Spec.AccessModes)
	case *networkingv1.Ingress:
		return routes(v)
	}
	if w, ok := s.Workload(o.GetName()); ok && w.Kind == o.Kind {
		return fmt.Sprint("replicas ", w.Replicas)
	}
	return ""
}

func routes(v *networkingv1.Ingress) string {
	class := ""
	if v.Spec.IngressClassName != nil {
		class = *v.Spec.IngressClassName
	}
	all := []string{class}
	for _, rule := range v.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for _, p := range rule.HTTP.Paths {
			if to := p.Backend.Service; to != nil {
				all = append(all, rule.Host+p.Path, fmt.Sprintf("%s:%d", to.Name, to.Port.Number))
			}
		}
	}
	return strings.Join(all, " ")
}

// contractedPods holds that each service of ours reads its environment from where the original's did, and then from the
// random values of make secrets; and that RabbitMQ keeps its data where it did.
func (s *Set) contractedPods() []Finding {
	var findings []Finding
	for _, name := range Services {
		w, ok := s.Workload(name)
		if !ok {
			continue
		}
		var got []string
		for _, from := range w.Container().EnvFrom {
			switch {
			case from.Prefix != "":
				got = append(got, "prefix "+from.Prefix)
			case from.ConfigMapRef != nil:
				got = append(got, from.ConfigMapRef.Name)
			case from.SecretRef != nil:
				got = append(got, from.SecretRef.Name)
			}
		}
		if want := []string{name + "-configmap", name + "-secret", name + "-random"}; !slices.Equal(got, want) {
			findings = append(findings, w.Find("envFrom", "is %v: must be %v, of which the last wins", got, want))
		}
	}
	if w, ok := s.Workload("rabbitmq"); ok {
		volume, where := claimed(w, "rabbitmq-pvc"), "/var/lib/rabbitmq"
		if !slices.ContainsFunc(w.Container().VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volume && m.MountPath == where }) {
			findings = append(findings, w.Find("volumeMounts", "mount rabbitmq-pvc at %s", where))
		}
	}
	return findings
}

// claimed returns the name of the volume that is the claim.
func claimed(w Workload, claim string) string {
	for _, v := range w.Pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim {
			return v.Name
		}
	}
	return ""
}

// initSQL holds that MySQL is given the repository's init.sql.
func initSQL(s *Set) []Finding {
	o, ok := Get[*corev1.ConfigMap](s, "mysql-init")
	if !ok {
		return []Finding{"no ConfigMap mysql-init: MySQL gets init.sql from it"}
	}
	if got := o.V.Data["init.sql"]; got != s.InitSQL {
		return []Finding{o.Find("data[init.sql]", "is not the file init.sql (%s): copy it", difference(got, s.InitSQL))}
	}
	return nil
}

// difference names the first line in which two texts differ.
func difference(got, want string) string {
	g, w := strings.SplitAfter(got, "\n"), strings.SplitAfter(want, "\n")
	i := 0
	for g[i] == w[i] { // ends: texts that differ do so in a line that both have, be it the empty one at the end
		i++
	}
	return fmt.Sprintf("line %d is %q, not %q", i+1, g[i], w[i])
}
