"""Whom a container runs as, and confined by which profile."""

from typing import Any

import msgspec
import pytest

from pykubelet.decide import cgroups, container_spec, environment, security
from pykubelet.model import runtime_config as cri
from tests.unit.pykubelet.decide.pods import pod


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


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        pytest.param({}, (777,), id="the volume's alone"),
        pytest.param({"fsGroup": 1, "supplementalGroups": [2]}, (1, 2, 777), id="beside the Pod's own"),
        pytest.param({"supplementalGroups": [777, 2]}, (777, 2), id="that the Pod is in already"),
    ],
)
def test_a_container_is_in_the_group_of_a_persistent_volume(context: dict[str, Any], expected: tuple[int, ...]) -> None:
    made = pod({}, securityContext=context)
    given = container_spec.Given(
        attempt=0, image="i", image_user=security.ImageUser(), envs=(), mounts=(), volume_groups=(777,)
    )
    node = container_spec.NodeFacts(cgroups.Machine(1024**3), security.Node())
    found = container_spec.of(made, made.spec.containers[0], given, node)
    assert found.security.supplemental_groups == expected
