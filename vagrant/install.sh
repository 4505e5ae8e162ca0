#!/usr/bin/env bash
# What a node needs: a container runtime, kubeadm, and our package in place of the genuine kubelet. Runs as root.
# What is there is left alone, so that a box that holds it all needs no internet.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
version=v1.37
swapoff --all
sed -i '/\sswap\s/d' /etc/fstab
missing=()
command -v containerd >/dev/null || missing+=(containerd)
command -v conntrack >/dev/null || missing+=(conntrack)
command -v iptables >/dev/null || missing+=(iptables)
[ -x /opt/cni/bin/bridge ] || missing+=(kubernetes-cni)
command -v kubeadm >/dev/null || missing+=(kubeadm kubectl)
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -q
    apt-get install -yq --no-install-recommends ca-certificates curl gpg
    curl -fsSL "https://pkgs.k8s.io/core:/stable:/$version/deb/Release.key" | gpg --dearmor --yes -o /etc/apt/kubernetes.gpg
    echo "deb [signed-by=/etc/apt/kubernetes.gpg] https://pkgs.k8s.io/core:/stable:/$version/deb/ /" \
        >/etc/apt/sources.list.d/kubernetes.list
    apt-get update -q
    # Ours is installed with them, as kubeadm asks for a kubelet.
    apt-get install -yq --no-install-recommends "${missing[@]}" /tmp/pykubelet.deb
else
    apt-get install -yq --no-install-recommends /tmp/pykubelet.deb
fi
if ! grep -q 'SystemdCgroup = true' /etc/containerd/config.toml 2>/dev/null; then
    mkdir -p /etc/containerd
    containerd config default | sed 's/SystemdCgroup = false/SystemdCgroup = true/; s|"/usr/lib/cni"|"/opt/cni/bin"|' \
        >/etc/containerd/config.toml
    systemctl restart containerd
fi
