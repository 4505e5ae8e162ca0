"""What a container gets: environment, names, resources, security, files."""

import dataclasses
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodekit.objects.meta import ObjectMeta
from nodekit.objects.quantity import Quantity
from pykubelet.decide import (
    cgroups,
    container_spec,
    dns,
    downward,
    environment,
    expansion,
    hostname,
    labels,
    qos,
    resources,
    security,
    volume_content,
)
from pykubelet.model import runtime_config as cri
from pykubelet.model.container import Container, VolumeMount
from pykubelet.model.kinds import ConfigMap, Missing, Secret, Service, ServicePort, ServiceSpec
from pykubelet.model.volume import KeyToPath
from tests.unit.pykubelet.decide.pods import pod

GIB = 1024**3
FACTS = downward.Facts(pod_ips=("198.19.1.5",), host_ips=("198.18.0.11",), allocatable={"cpu": Quantity.of(2)})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("$(A)-$(B)", "1-2", id="known names"),
        pytest.param("$(C)", "$(C)", id="an unknown name stays"),
        pytest.param("$$(A) $$", "$(A) $", id="a doubled dollar is one"),
        pytest.param("$(A", "$(A", id="an open reference stays"),
        pytest.param("$A $", "$A $", id="a shell's way is not ours"),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert expansion.expand(text, {"A": "1", "B": "2"}) == expected


@given(st.text(alphabet="$()AB", max_size=12))
def test_expansion_of_anything_ends_and_keeps_plain_text(text: str) -> None:
    assert expansion.expand(text.replace("$", ""), {"A": "$(B)"}) == text.replace("$", "")
    expansion.expand(text, {"A": "$(B)"})


def _sources(**more: Any) -> environment.Sources:
    service = Service(
        metadata=ObjectMeta(name="my-db", namespace="default"),
        spec=ServiceSpec(cluster_ip="198.18.64.9", ports=(ServicePort(port=5432, name="pg"),)),
    )
    maps = {"cm": ConfigMap(data={"K": "v", "X": "y"})}
    secrets = {"s": Secret(data={"T": b"\xff\x00t"})}
    base = environment.Sources(
        config_map=lambda name: maps.get(name, Missing()),
        secret=lambda name: secrets.get(name, Missing()),
        services=(service,),
        facts=FACTS,
        file_value=lambda volume, path, key: None,
    )
    return dataclasses.replace(base, **more)


def _env(container: dict[str, Any], **spec: Any) -> dict[str, str]:
    made = pod(container, **spec)
    return dict(environment.of(made, made.spec.containers[0], _sources()))


def test_an_environment_from_all_sources() -> None:
    env = _env(
        {
            "envFrom": [{"configMapRef": {"name": "cm"}, "prefix": "P_"}],
            "env": [
                {"name": "A", "value": "$(P_K) $(MY_DB_SERVICE_HOST) $(LATER)"},
                {"name": "P_X", "value": "own"},
                {"name": "NODE_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
                {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "T"}}},
                {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "zz", "key": "T", "optional": True}}},
            ],
        }
    )
    assert env["A"] == "v 198.18.64.9 $(LATER)"
    assert env["P_X"] == "own"
    assert env["NODE_IP"] == "198.18.0.11"
    assert env["SECRET"].encode("utf-8", "surrogateescape") == b"\xff\x00t"
    assert "NONE" not in env
    assert env["MY_DB_PORT_5432_TCP"] == "tcp://198.18.64.9:5432"
    assert env["MY_DB_SERVICE_PORT_PG"] == "5432"


def test_service_links_can_be_declined() -> None:
    assert "MY_DB_SERVICE_HOST" not in _env({}, enableServiceLinks=False)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param({"configMapKeyRef": {"name": "zz", "key": "a"}}, 'configmap "zz" not found', id="no ConfigMap"),
        pytest.param(
            {"configMapKeyRef": {"name": "cm", "key": "zz"}},
            "couldn't find key zz in ConfigMap default/cm",
            id="no such key",
        ),
        pytest.param({"secretKeyRef": {"name": "zz", "key": "a"}}, 'secret "zz" not found', id="no Secret"),
    ],
)
def test_what_is_missing_is_named(source: dict[str, Any], message: str) -> None:
    with pytest.raises(environment.ConfigError, match=message):
        _env({"env": [{"name": "A", "valueFrom": source}]})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("metadata.name", "web", id="name"),
        pytest.param("metadata.labels['app']", "web", id="one label"),
        pytest.param("metadata.labels", 'a="say \\"hi\\""\napp="web"', id="all labels, quoted as Go does"),
        pytest.param("status.podIPs", "198.19.1.5", id="addresses"),
    ],
)
def test_downward_fields(path: str, expected: str) -> None:
    assert downward.field(pod(), path, FACTS) == expected


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        pytest.param({"resource": "limits.cpu"}, "1", id="cores are rounded up"),
        pytest.param({"resource": "limits.cpu", "divisor": "1m"}, "250", id="millicores by divisor"),
        pytest.param({"resource": "requests.memory", "divisor": "1Mi"}, "32", id="memory in MiB"),
        pytest.param({"resource": "limits.memory"}, "0", id="no limit and nothing allocatable known"),
    ],
)
def test_downward_resources(selector: dict[str, str], expected: str) -> None:
    made = pod(
        {
            "resources": {"limits": {"cpu": "250m"}, "requests": {"memory": "32Mi"}},
            "env": [{"name": "V", "valueFrom": {"resourceFieldRef": selector}}],
        }
    )
    assert dict(environment.of(made, made.spec.containers[0], _sources()))["V"] == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param([{}], "BestEffort", id="nothing asked"),
        pytest.param([{"limits": {"cpu": "1", "memory": "1Gi"}}], "Guaranteed", id="limits alone are requests too"),
        pytest.param([{"limits": {"cpu": "1"}}], "Burstable", id="memory is missing"),
        pytest.param(
            [{"limits": {"cpu": "1", "memory": "1Gi"}}, {"requests": {"cpu": "1m"}}], "Burstable", id="one of two"
        ),
    ],
)
def test_qos(asked: list[dict[str, Any]], expected: str) -> None:
    assert qos.of(pod(*({"name": f"c{i}", "resources": one} for i, one in enumerate(asked)))) == expected


def test_oom_scores_follow_the_class_and_the_share_of_memory() -> None:
    def score(resources: dict[str, Any]) -> int:
        made = pod({"resources": resources})
        return qos.oom_score_adj(made, made.spec.containers[0], memory_capacity=10 * GIB)

    assert score({}) == 1000
    assert score({"limits": {"cpu": "1", "memory": "1Gi"}}) == -997
    assert score({"requests": {"memory": "1Gi"}}) == 900
    assert score({"requests": {"memory": "1"}}) == 999


def test_a_pod_needs_its_largest_init_step_or_all_that_runs_together() -> None:
    made = pod(
        {"resources": {"requests": {"cpu": "100m"}}},
        {"name": "b", "resources": {"requests": {"cpu": "200m"}}},
        initContainers=[
            {"name": "side", "image": "i", "restartPolicy": "Always", "resources": {"requests": {"cpu": "50m"}}},
            {"name": "big", "image": "i", "resources": {"requests": {"cpu": "400m"}}},
        ],
        overhead={"cpu": "10m"},
    )
    assert resources.pod_requests(made)["cpu"] == Quantity.of_milli(460)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param({}, cgroups.Values(cpu_shares=2), id="BestEffort has the least weight and no limit"),
        pytest.param(
            {"requests": {"cpu": "500m"}, "limits": {"memory": "64Mi"}},
            cgroups.Values(cpu_shares=512, memory_limit=64 * 1024**2),
            id="a limit of one kind",
        ),
        pytest.param({"limits": {"cpu": "5m"}}, cgroups.Values(cpu_shares=5, cpu_quota_us=1000), id="least quota 1 ms"),
    ],
)
def test_pod_cgroup(asked: dict[str, Any], expected: cgroups.Values) -> None:
    assert cgroups.of_pod(pod({"resources": asked})) == expected


def test_where_pods_stand() -> None:
    assert cgroups.pod_path("/", pod()) == "/kubepods/besteffort/podu1"
    whole = pod({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}})
    assert cgroups.pod_path("/dev-n1", whole) == "/dev-n1/kubepods/podu1"


@pytest.mark.parametrize(("shares", "expected"), [(2, 1), (1024, 100), (262144, 10000), (0, 0)])
def test_weight_of_shares(shares: int, expected: int) -> None:
    assert cgroups.weight(shares) == expected


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


@pytest.mark.parametrize(
    ("context", "user", "message"),
    [
        pytest.param({"runAsUser": 0}, security.ImageUser(1000), "breaks non-root policy", id="asked to be root"),
        pytest.param({}, security.ImageUser(0), "image will run as root", id="the image is root's"),
        pytest.param({}, security.ImageUser(None, "nginx"), "non-numeric user", id="a name cannot be judged"),
    ],
)
def test_non_root_is_kept(context: dict[str, Any], user: security.ImageUser, message: str) -> None:
    made = pod({"securityContext": {"runAsNonRoot": True, **context}})
    with pytest.raises(environment.ConfigError, match=message):
        security.of_container(made, made.spec.containers[0], cri.Namespaces(), image_user=user, node=security.Node())


@pytest.mark.parametrize("path", ["/abs", "../up", "a/../../b"])
def test_a_sub_path_that_could_leave_the_volume_is_refused(path: str) -> None:
    with pytest.raises(environment.ConfigError):
        container_spec.sub_path(VolumeMount(name="v", mount_path="/v", sub_path=path), {})


def test_a_sub_path_expression_needs_its_variables() -> None:
    wanted = VolumeMount(name="v", mount_path="/v", sub_path_expr="a/$(POD)")
    assert container_spec.sub_path(wanted, {"POD": "web"}) == "a/web"
    with pytest.raises(environment.ConfigError, match="POD"):
        container_spec.sub_path(wanted, {})


def test_volume_files_are_chosen_and_named() -> None:
    found = ConfigMap(data={"a": "1", "b": "2"}, binary_data={"c": b"\x00"})
    everything = volume_content.of_config_map(found, (), mode=0o644, optional=False)
    assert everything == {
        name: volume_content.File(data, 0o644) for name, data in (("a", b"1"), ("b", b"2"), ("c", b"\x00"))
    }
    chosen = volume_content.of_config_map(
        found, (KeyToPath(key="a", path="x/y", mode=0o400),), mode=0o644, optional=False
    )
    assert chosen == {"x/y": volume_content.File(b"1", 0o400)}
    with pytest.raises(volume_content.ContentError, match="zz"):
        volume_content.of_config_map(found, (KeyToPath(key="zz", path="p"),), mode=0o644, optional=False)
    assert volume_content.of_secret(None, (), mode=0o644, optional=True) == {}


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "..data", "a/../../b", ""])
def test_no_item_leaves_its_volume(path: str) -> None:
    with pytest.raises(volume_content.ContentError):
        volume_content.of_config_map(
            ConfigMap(data={"a": "1"}), (KeyToPath(key="a", path=path),), mode=0o644, optional=False
        )


@pytest.mark.parametrize(
    ("files", "swap", "together", "expected"),
    [
        pytest.param(None, None, 0, {}, id="cgroup v1 has no such files"),
        pytest.param(None, cgroups.Swap(), 64 * 1024**2, {}, id="cgroup v1 limits memory and swap together"),
        pytest.param(
            cgroups.unified_files(single_process_oom_kill=None),
            cgroups.Swap(),
            0,
            {"memory.high": "max", "memory.oom.group": "1", "memory.swap.max": "0"},
            id="all of a container is killed when memory runs out, and it does not swap",
        ),
        pytest.param(
            cgroups.unified_files(single_process_oom_kill=True),
            None,
            0,
            {"memory.high": "max"},
            id="one process alone is killed where the node is set so, and a kernel may not know of swap",
        ),
    ],
)
def test_what_cgroup_v2_adds(
    files: cgroups.UnifiedFiles, swap: cgroups.Swap | None, together: int, expected: dict[str, str]
) -> None:
    made = pod({"resources": {"limits": {"memory": "64Mi"}}})
    found = cgroups.of_container(made, made.spec.containers[0], cgroups.Machine(GIB, unified=files, swap=swap))
    assert (found.memory_limit, found.memory_swap_limit, dict(found.unified)) == (64 * 1024**2, together, expected)


@pytest.mark.parametrize(
    ("asked", "more", "share"),
    [
        pytest.param({"requests": {"memory": "256Mi"}}, {}, 64, id="its part of memory, of the swap"),
        pytest.param(
            {"requests": {"memory": "256Mi"}, "limits": {"memory": "1Gi"}}, {}, 64, id="the same with a limit"
        ),
        pytest.param({"requests": {"cpu": "1"}}, {}, 0, id="nothing without memory asked for"),
        pytest.param(
            {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}, {}, 0, id="nothing with all of it asked for"
        ),
        pytest.param({"limits": {"cpu": "1", "memory": "256Mi"}}, {}, 0, id="nothing if Guaranteed"),
        pytest.param({}, {}, 0, id="nothing if BestEffort"),
        pytest.param({"requests": {"memory": "256Mi"}}, {"priority": 2_000_000_000}, 0, id="nothing if critical"),
        pytest.param({"requests": {"memory": "2Gi"}}, {}, 0, id="nothing with more asked for than there is"),
    ],
)
def test_who_may_swap(asked: dict[str, Any], more: dict[str, Any], share: int) -> None:
    made = pod({"resources": asked}, **more)
    node = cgroups.Machine(GIB, unified={}, swap=cgroups.Swap(256 * 1024**2))
    found = cgroups.of_container(made, made.spec.containers[0], node)
    assert found.unified["memory.swap.max"] == str(share * 1024**2)


def test_huge_pages_that_are_not_asked_for_may_not_be_used() -> None:
    sizes = (2 * 1024**2, GIB)
    asked = pod({"resources": {"limits": {"cpu": "1", "memory": "1Gi", "hugepages-2Mi": "4Mi"}}})
    limits = (cri.HugepageLimit("2MB", 4 * 1024**2), cri.HugepageLimit("1GB", 0))
    assert cgroups.of_pod(asked, page_sizes=sizes).hugepages == limits
    found = cgroups.of_container(asked, asked.spec.containers[0], cgroups.Machine(GIB, page_sizes=sizes))
    assert found.hugepage_limits == limits
    assert [one.limit for one in cgroups.of_pod(pod(), page_sizes=sizes).hugepages] == [0, 0]


def test_huge_pages_of_the_whole_pod_are_those_of_each_container() -> None:
    made = pod({"resources": {}}, resources={"limits": {"hugepages-2Mi": "4Mi", "memory": "1Gi", "cpu": "1"}})
    found = cgroups.of_container(made, made.spec.containers[0], cgroups.Machine(GIB, page_sizes=(2 * 1024**2,)))
    assert found.hugepage_limits == (cri.HugepageLimit("2MB", 4 * 1024**2),)


@pytest.mark.parametrize(
    ("noted", "own", "expected"),
    [
        pytest.param("runtime/default", None, cri.SecurityProfile(cri.ProfileType.RUNTIME_DEFAULT), id="the default"),
        pytest.param("unconfined", None, cri.SecurityProfile(cri.ProfileType.UNCONFINED), id="none"),
        pytest.param("localhost/p", None, cri.SecurityProfile(cri.ProfileType.LOCALHOST, "p"), id="one of the node"),
        pytest.param("nonsense", None, None, id="none that is known"),
        pytest.param(
            "localhost/p", "Unconfined", cri.SecurityProfile(cri.ProfileType.UNCONFINED), id="the field goes before it"
        ),
    ],
)
def test_a_static_pod_may_name_an_apparmor_profile_in_an_annotation(
    noted: str, own: str | None, expected: cri.SecurityProfile | None
) -> None:
    context = {"securityContext": {"appArmorProfile": {"type": own}}} if own else {}
    made = pod(context)
    annotations = {"container.apparmor.security.beta.kubernetes.io/app": noted}
    made = msgspec.structs.replace(made, metadata=msgspec.structs.replace(made.metadata, annotations=annotations))
    found = security.of_container(
        made, made.spec.containers[0], cri.Namespaces(), image_user=security.ImageUser(), node=security.Node()
    )
    assert found.apparmor == expected
