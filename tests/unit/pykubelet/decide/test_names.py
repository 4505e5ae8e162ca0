"""What Pods and containers are called: labels at the runtime, DNS, names inside a Pod."""

from typing import Any

import pytest

from pykubelet.decide import dns, environment, hostname, labels
from pykubelet.model import runtime_config as cri
from pykubelet.model.container import Container
from tests.unit.pykubelet.decide.pods import pod


def test_the_hash_is_the_genuine_kubelets() -> None:
    """The figure was printed by kubecontainer.HashContainer of 1.37.2."""
    assert labels.container_hash(Container(name="c", image="busybox:1")) == 0x1AAABC84


def test_labels_and_annotations_let_another_kubelet_take_over() -> None:
    made = pod({"lifecycle": {"preStop": {"exec": {"command": ["x"]}}}, "ports": [{"containerPort": 80}]})
    container = made.spec.containers[0]
    found = labels.annotations_of_container(made, container, attempt=3)
    assert found["io.kubernetes.container.restartCount"] == "3"
    assert found["io.kubernetes.container.preStopHandler"] == '{"exec":{"command":["x"]}}'
    assert labels.restart_count(found, otherwise=0) == 3
    assert labels.of_container(made, container)["io.kubernetes.pod.uid"] == "u1"
    assert labels.of_sandbox(made)["app"] == "web"


CLUSTER = dns.ClusterDNS(("198.18.64.10",), "cluster.local", cri.DNSConfig(("9.9.9.9",), ("corp",), ("timeout:1",)))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(
            {},
            cri.DNSConfig(
                ("198.18.64.10",),
                ("default.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp"),
                ("ndots:5",),
            ),
            id="the cluster first",
        ),
        pytest.param({"dnsPolicy": "Default"}, CLUSTER.host, id="the node's"),
        pytest.param({"hostNetwork": True}, CLUSTER.host, id="ClusterFirst on the host network is the node's"),
        pytest.param(
            {
                "dnsPolicy": "None",
                "dnsConfig": {"nameservers": ["1.1.1.1"], "options": [{"name": "ndots", "value": "2"}]},
            },
            cri.DNSConfig(("1.1.1.1",), (), ("ndots:2",)),
            id="nothing but its own",
        ),
    ],
)
def test_dns(spec: dict[str, Any], expected: cri.DNSConfig) -> None:
    assert dns.of(pod(**spec), CLUSTER, host_ips=("198.18.0.11",)) == (expected, ())


def test_dns_limits_are_applied_and_told() -> None:
    servers = [f"9.9.9.{i}" for i in range(5)]
    config, messages = dns.of(pod(dnsPolicy="None", dnsConfig={"nameservers": servers}), CLUSTER, host_ips=())
    assert config.servers == tuple(servers[:3])
    assert "9.9.9.0 9.9.9.1 9.9.9.2" in messages[0]


def test_names_inside_a_pod() -> None:
    made = pod(hostname="h", subdomain="sub", hostAliases=[{"ip": "198.18.0.9", "hostnames": ["x", "y"]}])
    assert hostname.of(made, cluster_domain="c.local") == ("h", "sub.default.svc.c.local")
    text = hostname.hosts_file(made, ["198.19.1.5"], cluster_domain="c.local", node_hosts="")
    assert "198.19.1.5\th.sub.default.svc.c.local\th\n" in text
    assert text.endswith("# Entries added by HostAliases.\n198.18.0.9\tx\ty\n")


def test_a_full_name_the_kernel_cannot_hold_is_refused() -> None:
    with pytest.raises(environment.ConfigError, match="too long"):
        hostname.for_kernel(pod(subdomain="s" * 50, setHostnameAsFQDN=True), cluster_domain="cluster.local")
