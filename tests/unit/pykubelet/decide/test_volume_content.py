"""Which files a volume has and which part of it is mounted: no path leaves it."""

import pytest

from pykubelet.decide import container_spec, environment, volume_content
from pykubelet.model.container import VolumeMount
from pykubelet.model.kinds import ConfigMap
from pykubelet.model.volume import KeyToPath


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
