#!/usr/bin/env bash
# Joins a cluster: CONTROL_PLANE is its host:port, TOKEN and CA_HASH are those of `kubeadm token create
# --print-join-command`. Without CA_HASH, whoever answers there is trusted. ADDRESS: this node's own, if it has several.
set -euo pipefail
[ ! -e /etc/kubernetes/kubelet.conf ] || exit 0
control_plane=$(getent ahostsv4 "${CONTROL_PLANE%:*}" | awk 'NR == 1 {print $1}')
address=${ADDRESS:-$(ip -o route get "$control_plane" | sed 's/.* src \([^ ]*\).*/\1/')}
trust=(--discovery-token-unsafe-skip-ca-verification)
[ -z "$CA_HASH" ] || trust=(--discovery-token-ca-cert-hash "$CA_HASH")
echo "KUBELET_EXTRA_ARGS=--node-ip=$address" >/etc/default/kubelet
kubeadm join "$CONTROL_PLANE" --token "$TOKEN" "${trust[@]}"
