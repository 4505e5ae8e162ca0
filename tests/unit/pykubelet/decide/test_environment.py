"""A container's environment: its sources, references in it, and what the downward API tells."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodekit.objects.meta import ObjectMeta
from nodekit.objects.quantity import Quantity
from pykubelet.decide import downward, environment, expansion
from pykubelet.model.kinds import ConfigMap, Missing, Secret, Service, ServicePort, ServiceSpec
from tests.unit.pykubelet.decide.pods import pod

FACTS = downward.Facts(
    pod_ips=("198.19.1.5",),
    host_ips=("198.18.0.11",),
    allocatable={"cpu": Quantity.of(2), "hugepages-2Mi": Quantity.of(4)},
)


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
        pytest.param({"resource": "limits.hugepages-2Mi"}, "0", id="huge pages are nobody's without a limit"),
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
