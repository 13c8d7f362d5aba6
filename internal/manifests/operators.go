package manifests

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

// Operated is what an operator makes of one of its objects, as far as other objects count on it.
type Operated struct {
	Object
	Pod      labels.Set
	Services map[string][]int32 // name and ports
}

// Operated lists the servers that operators run.
func (s *Set) Operated() []Operated {
	var all []Operated
	for _, o := range All[*unstructured.Unstructured](s) {
		name := o.GetName()
		switch o.Kind {
		case "RabbitmqCluster": // gives its pods its own labels, too
			pod := labels.Merge(o.V.GetLabels(), labels.Set{"app.kubernetes.io/name": name, "app.kubernetes.io/component": "rabbitmq"})
			all = append(all, Operated{o.Object, pod, map[string][]int32{name: {5672, 15672, 15692}, name + "-nodes": {4369, 25672}}})
		case "MongoDBCommunity":
			all = append(all, Operated{o.Object, labels.Set{"app": name + "-svc"}, map[string][]int32{name + "-svc": {27017}}})
		}
	}
	return all
}

// operates reports whether an operator runs pods that the selector matches.
func (s *Set) operates(selector *metav1.LabelSelector) bool {
	return slices.ContainsFunc(s.Operated(), func(o Operated) bool { return matches(selector, o.Pod) })
}

// servicePorts returns the ports of a Service, whoever makes it, and whether there is one.
func (s *Set) servicePorts(name string) ([]int32, bool) {
	for _, o := range s.Operated() {
		if ports, ok := o.Services[name]; ok {
			return ports, true
		}
	}
	o, ok := Get[*corev1.Service](s, name)
	if !ok {
		return nil, false
	}
	var ports []int32
	for _, p := range o.V.Spec.Ports {
		ports = append(ports, p.Port)
	}
	return ports, true
}

// secret returns a Secret's entries, whoever makes it and however they are written; nil if there is none.
func (s *Set) secret(name string) map[string]string {
	o, ok := Get[*corev1.Secret](s, name)
	if !ok {
		return s.externalSecret(name)
	}
	all := map[string]string{}
	for k, v := range o.V.Data {
		all[k] = string(v)
	}
	maps.Copy(all, o.V.StringData)
	return all
}

// externalSecret is the Secret that External Secrets Operator makes: its templates as they are written, or, where there are
// none, the names of what it fetches.
func (s *Set) externalSecret(name string) map[string]string {
	for _, o := range All[*unstructured.Unstructured](s) {
		target, _, _ := unstructured.NestedString(o.V.Object, "spec", "target", "name")
		if o.Kind != "ExternalSecret" || target != name && (target != "" || o.GetName() != name) {
			continue
		}
		all, _, _ := unstructured.NestedStringMap(o.V.Object, "spec", "target", "template", "data")
		if all != nil {
			return all
		}
		all = map[string]string{}
		fetched, _, _ := unstructured.NestedSlice(o.V.Object, "spec", "data")
		for _, entry := range fetched {
			if entry, ok := entry.(map[string]any); ok {
				key, _, _ := unstructured.NestedString(entry, "secretKey")
				all[key] = "fetched"
			}
		}
		return all
	}
	return nil
}

// brokerConfigs are the texts in which RabbitMQ may be told its consumer_timeout, by where they are.
func (s *Set) brokerConfigs() map[string]string {
	all := map[string]string{}
	if o, ok := Get[*corev1.ConfigMap](s, "rabbitmq-conf"); ok {
		for name, text := range o.V.Data {
			all[o.String()+": data["+name+"]"] = text
		}
	}
	for _, o := range s.Operated() {
		if o.Kind == "RabbitmqCluster" {
			text, _, _ := unstructured.NestedString(o.Value.(*unstructured.Unstructured).Object, "spec", "rabbitmq", "additionalConfig")
			all[o.String()+": spec.rabbitmq.additionalConfig"] = text
		}
	}
	return all
}
