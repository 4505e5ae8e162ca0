#!/usr/bin/env bash
# Makes the control plane of a cluster: CONTROL_PLANE is its host:port, TOKEN what workers join with, ADDRESS its own.
set -euo pipefail
[ ! -e /etc/kubernetes/admin.conf ] || exit 0
cat >/root/kubeadm.yaml <<END
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens: [{token: "$TOKEN", ttl: 24h0m0s}]
localAPIEndpoint: {advertiseAddress: "$ADDRESS"}
nodeRegistration:
  kubeletExtraArgs: [{name: node-ip, value: "$ADDRESS"}]
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: $(kubeadm version -o short)
controlPlaneEndpoint: "$CONTROL_PLANE"
networking: {podSubnet: 198.18.160.0/19, serviceSubnet: 198.18.192.0/20}
END
kubeadm init --config /root/kubeadm.yaml --skip-phases=addon/kube-proxy
mkdir -p ~vagrant/.kube
install -o vagrant -g vagrant -m 600 /etc/kubernetes/admin.conf ~vagrant/.kube/config
kubectl --kubeconfig=/etc/kubernetes/admin.conf apply -f /tmp/pyproxy.yaml
