"""A Kubernetes control plane of this machine: etcd, apiserver and controllers, all real; nodes are the tests' own."""
