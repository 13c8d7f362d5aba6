// Package e2e proves the manifests on a Kubernetes: it applies them to any cluster that KUBECONFIG names, does the main job
// with the very commands that users type, restarts and deletes everything under load, and has package checker look for what
// was lost. All of it is one test, which runs only when asked for: make e2e. It reaches the cluster as people do, through
// kubectl and the Ingress.
package e2e
