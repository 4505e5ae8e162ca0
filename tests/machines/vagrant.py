"""Machines with what a box has, and Vagrant's way to them: they run where it would have a hypervisor make some."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from devcluster.progress import Reporter
from tests.machines import ground, roots
from tests.machines.lab import Lab
from tests.machines.machine import Machine

NETWORK: Final = "198.18.129"
"""The private network of the machines, as the Vagrantfile's NETWORK has it."""
ADDRESSES: Final = {
    name: f"{NETWORK}.{number}"
    for name, number in (("control-plane", 10), ("worker-1", 11), ("worker-2", 12), ("worker", 13))
}
PROVIDER: Final = Path(__file__).with_name("vagrant_lab.rb")
# A box has a kernel of its own, with cgroup v2; these have the host's, and where that has v1, kubeadm and its kubelets
# must be told that it is meant. Their disk is the host's, too, however full others have made it.
_KUBEADM: Final = """#!/bin/sh
if [ "$1" = init ]; then cat >> /root/kubeadm.yaml <<END
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
evictionHard: {memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%"}
END
fi
case $1 in init | join) set -- "$@" --ignore-preflight-errors=SystemVerification ;; esac
exec /usr/bin/kubeadm "$@"
"""
# No machine has an uplink: what its containers run is there before. Swap would be this host's.
_BOX: Final = """
ip addr add ADDRESS/24 dev eth0
useradd --create-home --shell /bin/bash vagrant
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/vagrant
mkdir ~vagrant/.ssh
echo 'PUBLIC' > ~vagrant/.ssh/authorized_keys
cat > /usr/local/sbin/kubeadm <<'SH'
WRAPPER
SH
chmod 755 /usr/local/sbin/kubeadm
ln -s /bin/true /usr/local/sbin/swapoff
ls /images/*.tar | grep -vE 'LACKING' | xargs -n 1 ctr -n k8s.io images import
"""


def boxes(lab: Lab, host: Machine) -> Mapping[str, Machine]:
    """One machine for each that the page makes, by its name; Vagrant on the host reaches them by the provider `lab`."""
    root = roots.with_packages("box", ("openssh-server", "sudo"), Reporter(), node=True)
    images = ground.image_archives(Reporter())
    host.run(f"ip addr add {NETWORK}.1/24 dev eth0; ssh-keygen -q -t ed25519 -N '' -f /root/key")
    key = host.run("cat /root/key.pub").stdout.strip()
    made = {}
    for name, address in ADDRESSES.items():
        lacking = "nothing" if name == "control-plane" else "etcd|kube-"
        script = _BOX.replace("ADDRESS", address).replace("PUBLIC", key).replace("WRAPPER", _KUBEADM)
        made[name] = lab.machine(name, {images: "/images"}, base=root)
        made[name].run(script.replace("LACKING", lacking))
    host.run(
        f"cat > /root/machines.json <<'END'\n{json.dumps(ADDRESSES)}\nEND\n"
        f"cat > /root/lab.rb <<'END'\n{PROVIDER.read_text()}\nEND\n"
        "mkdir -p /root/.vagrant.d; echo 'require \"/root/lab.rb\"' > /root/.vagrant.d/Vagrantfile"
    )
    return made
