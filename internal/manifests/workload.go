package manifests

import (
	"maps"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Workload is what Deployments, StatefulSets and Jobs have in common: a pod, some number of times.
type Workload struct {
	Object
	Replicas int32
	Selector *metav1.LabelSelector // nil for a Job, whose pods nobody selects
	Pod      *corev1.PodTemplateSpec
	Claims   []corev1.PersistentVolumeClaim // its templates
}

// Workloads lists them.
func (s *Set) Workloads() []Workload {
	var all []Workload
	for _, o := range s.Objects {
		switch v := o.Value.(type) {
		case *appsv1.Deployment:
			all = append(all, Workload{o, count(v.Spec.Replicas), v.Spec.Selector, &v.Spec.Template, nil})
		case *appsv1.StatefulSet:
			all = append(all, Workload{o, count(v.Spec.Replicas), v.Spec.Selector, &v.Spec.Template, v.Spec.VolumeClaimTemplates})
		case *appsv1.DaemonSet:
			all = append(all, Workload{o, 1, v.Spec.Selector, &v.Spec.Template, nil})
		case *batchv1.Job:
			all = append(all, Workload{o, 1, nil, &v.Spec.Template, nil})
		case *batchv1.CronJob:
			all = append(all, Workload{o, 1, nil, &v.Spec.JobTemplate.Spec.Template, nil})
		}
	}
	return all
}

// Workload returns the one of that name.
func (s *Set) Workload(name string) (Workload, bool) {
	for _, w := range s.Workloads() {
		if w.GetName() == name {
			return w, true
		}
	}
	return Workload{}, false
}

func count(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}

// Serves reports whether the workload is for good, and not a Job.
func (w Workload) Serves() bool { return w.Selector != nil }

// Ours reports whether it is one of the four services.
func (w Workload) Ours() bool {
	_, image, ok := strings.Cut(w.Container().Image, "mp3converter/")
	return ok && image != ""
}

// Container is the pod's first, which is the one that the workload is named for.
func (w Workload) Container() *corev1.Container { return &w.Pod.Spec.Containers[0] }

// Containers are all of the pod's.
func (w Workload) Containers() []*corev1.Container {
	var all []*corev1.Container
	for i := range w.Pod.Spec.InitContainers {
		all = append(all, &w.Pod.Spec.InitContainers[i])
	}
	for i := range w.Pod.Spec.Containers {
		all = append(all, &w.Pod.Spec.Containers[i])
	}
	return all
}

// Selected lists the workloads whose pods a selector matches.
func (s *Set) Selected(selector *metav1.LabelSelector) []Workload {
	match, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil
	}
	var all []Workload
	for _, w := range s.Workloads() {
		if match.Matches(labels.Set(w.Pod.Labels)) {
			all = append(all, w)
		}
	}
	return all
}

// Port returns the number of a container port given by its name or number, and whether the pod declares it.
func (w Workload) Port(port intstr.IntOrString) (int32, bool) {
	for _, c := range w.Pod.Spec.Containers {
		for _, p := range c.Ports {
			if port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.ContainerPort == port.IntVal {
				return p.ContainerPort, true
			}
		}
	}
	return 0, false
}

// Environment is what the first container's program sees, as far as objects of the set say so: of one name the last wins,
// and $(NAME) is replaced by what stands before.
func (s *Set) Environment(w Workload) map[string]string {
	env := map[string]string{}
	for _, from := range w.Container().EnvFrom {
		switch {
		case from.ConfigMapRef != nil:
			maps.Copy(env, s.configMap(from.ConfigMapRef.Name))
		case from.SecretRef != nil:
			maps.Copy(env, s.secret(from.SecretRef.Name))
		}
	}
	for _, v := range w.Container().Env {
		if value, ok := s.value(w, v); ok {
			env[v.Name] = expand(value, env)
		}
	}
	return env
}

func (s *Set) value(w Workload, v corev1.EnvVar) (string, bool) {
	from := v.ValueFrom
	switch {
	case from == nil:
		return v.Value, true
	case from.ConfigMapKeyRef != nil:
		value, ok := s.configMap(from.ConfigMapKeyRef.Name)[from.ConfigMapKeyRef.Key]
		return value, ok
	case from.SecretKeyRef != nil:
		value, ok := s.secret(from.SecretKeyRef.Name)[from.SecretKeyRef.Key]
		return value, ok
	case from.ResourceFieldRef != nil && from.ResourceFieldRef.Resource == "limits.memory":
		return strconv.FormatInt(w.Container().Resources.Limits.Memory().Value(), 10), true
	default:
		return "", false // of the pod's own fields
	}
}

// expand replaces $(NAME) where the name is known, as the kubelet does.
func expand(value string, env map[string]string) string {
	for name, known := range env {
		value = strings.ReplaceAll(value, "$("+name+")", known)
	}
	return value
}

// configMap returns a ConfigMap's entries; nil if there is none.
func (s *Set) configMap(name string) map[string]string {
	o, ok := Get[*corev1.ConfigMap](s, name)
	if !ok {
		return nil
	}
	all := map[string]string{}
	maps.Copy(all, o.V.Data)
	return all
}

// Config returns the entries of a ConfigMap; nil if there is none.
func Config(s *Set, name string) map[string]string { return s.configMap(name) }
