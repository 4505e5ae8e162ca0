"""Objects are read as Go reads them and written as Go writes them."""

from datetime import UTC, datetime

import pytest

from nodekit.objects import base, codec, event, lease, meta, node, times


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("host_ip", "hostIP"),
        ("pod_ips", "podIPs"),
        ("uid", "uid"),
        ("system_uuid", "systemUUID"),
        ("os_image", "osImage"),
        ("continue_", "continue"),
        ("qos_class", "qosClass"),
        ("pod_cidrs", "podCIDRs"),
        ("set_hostname_as_fqdn", "setHostnameAsFQDN"),
    ],
)
def test_field_names(field: str, name: str) -> None:
    assert base.api_name(field) == name


def test_null_means_absent() -> None:
    read = codec.decode(node.Node, b'{"metadata":{"labels":null,"name":"n1"},"status":{"images":null,"phase":null}}')
    assert read == node.Node(metadata=meta.ObjectMeta(name="n1"))


def test_a_field_of_the_wrong_type_is_named() -> None:
    with pytest.raises(codec.DecodeError, match=r"metadata\.name"):
        codec.decode(node.Node, b'{"metadata":{"name":5}}')


def test_quantities_are_read_from_numbers_and_strings() -> None:
    read = codec.decode(node.NodeStatus, b'{"capacity":{"cpu":2,"memory":"1024Ki"}}')
    assert codec.to_builtins(read) == {"capacity": {"cpu": "2", "memory": "1Mi"}}


def test_a_quantity_that_is_none_says_where() -> None:
    with pytest.raises(codec.DecodeError, match=r"capacity"):
        codec.decode(node.NodeStatus, b'{"capacity":{"cpu":"two"}}')


def test_times_are_written_as_the_api_wants_them() -> None:
    written = codec.to_builtins(event.Event(first_timestamp=times.of(1.9), event_time=times.MicroTime.of(2.0)))
    assert written == {"firstTimestamp": "1970-01-01T00:00:01Z", "eventTime": "1970-01-01T00:00:02.000000Z"}


def test_micro_times_are_read_back_exactly() -> None:
    spec = codec.decode(lease.LeaseSpec, b'{"renewTime":"2026-11-24T10:15:01.000007Z"}')
    assert spec.renew_time == datetime(2026, 11, 24, 10, 15, 1, 7, tzinfo=UTC)
    assert codec.encode(spec) == b'{"renewTime":"2026-11-24T10:15:01.000007Z"}'


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/api/v1/nodes/n1/status", {"name": "n1", "subresource": "status"}),
        ("/api/v1/nodes", {"namespace": "ignored"}),
    ],
)
def test_paths_of_cluster_wide_objects(path: str, parts: dict[str, str]) -> None:
    assert node.NODES.path(**parts) == path


def test_paths_of_namespaced_objects() -> None:
    assert lease.LEASES.path() == "/apis/coordination.k8s.io/v1/leases"
    assert lease.LEASES.path(namespace="a", name="b") == "/apis/coordination.k8s.io/v1/namespaces/a/leases/b"
