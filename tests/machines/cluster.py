"""A cluster of machines: what is asked of it, and how a machine joins it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.machines import pages
from tests.machines.machine import Computer

KUBECTL: Final = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
FOR_CGROUP_V1: Final = " --ignore-preflight-errors=SystemVerification"
NETWORK: Final = (
    '{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"hairpinMode":true,'
    '"ipam":{"type":"host-local","ranges":[[{"subnet":"SUBNET"}]],"routes":[{"dst":"0.0.0.0/0"}]}},'
    '{"type":"portmap","capabilities":{"portMappings":true}}]}'
)


@dataclass
class Cluster:
    """`nodes` are those that have a Pod network."""

    control_plane: Computer
    nodes: list[Computer] = field(default_factory=list)

    def kubectl(self, words: str) -> str:
        return self.control_plane.run(f"{KUBECTL} {words}").stdout.strip()

    def until(self, check: Callable[[], bool], *, seconds: float = 60) -> None:
        self.control_plane.until("the cluster is as it should be", check, seconds=seconds)

    def join(self, machine: Computer, *, cgroup_v1: bool = True) -> None:
        """Join it as docs/kubeadm.md says, and wait until it is Ready."""
        words = self.control_plane.run("kubeadm token create --print-join-command 2>/dev/null").stdout.split()
        for block in pages.section("kubeadm.md", "A worker"):
            commands = block.commands.replace("CONTROL-PLANE:6443", words[2])
            commands = commands.replace("TOKEN", words[4]).replace("HASH", words[6])
            if block.where == "worker" and not cgroup_v1:
                assert FOR_CGROUP_V1 in commands, "the page asks for another check to be left out"
                commands = commands.replace(FOR_CGROUP_V1, "")
            (machine if block.where == "worker" else self.control_plane).run(commands)
        self.connect(machine)
        self.kubectl(f"wait --for=create node/{machine.name} --timeout=60s")
        self.kubectl(f"wait --for=condition=Ready node/{machine.name} --timeout=90s")

    def connect(self, machine: Computer) -> None:
        """A Pod network without an operator: a bridge on the node's own range, and routes between the machines."""
        self.kubectl(f"wait --for=create node/{machine.name} --timeout=60s")
        self.kubectl(f"wait --for=jsonpath={{.spec.podCIDR}} node/{machine.name} --timeout=60s")
        subnet = self.subnet(machine)
        machine.run(f"echo '{NETWORK.replace('SUBNET', subnet)}' > /etc/cni/net.d/10-net.conflist")
        for other in self.nodes:
            if other is not machine:
                other.run(f"ip route replace {subnet} via {machine.address}")
                machine.run(f"ip route replace {self.subnet(other)} via {other.address}")
        if machine not in self.nodes:
            self.nodes.append(machine)

    def subnet(self, machine: Computer) -> str:
        return self.kubectl(f"get node {machine.name} -o jsonpath={{.spec.podCIDR}}")
