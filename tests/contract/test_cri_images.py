"""The container runtime's contract: what it says of itself, and its images."""

import pytest

from pykubelet.cri import errors
from pykubelet.model import observed
from pykubelet.model import runtime_config as rc
from tests.contract.cri_kit import IMAGE, Kit


async def test_it_says_what_it_is_and_that_it_is_ready(kit: Kit) -> None:
    version = await kit.runtime.version()
    assert version.name in ("containerd", "cri-o", "fake")
    assert version.version[0].isdigit()
    status = await kit.runtime.status()
    assert {c.type: c.status for c in status.conditions}.items() >= {"RuntimeReady": True, "NetworkReady": True}.items()
    if kit.old:
        assert (status.handlers, status.features) == ((), frozenset())
        return
    default = next(h for h in status.handlers if h.name == "")
    assert default.recursive_read_only_mounts
    assert "supplemental_groups_policy" in status.features


async def test_it_names_its_cgroup_driver(kit: Kit) -> None:
    assert await kit.runtime.cgroup_driver() is (None if kit.old else observed.CgroupDriver.CGROUPFS)


async def test_an_image_that_is_there_is_found_by_name_and_by_id(kit: Kit) -> None:
    found = await kit.images.image_status(rc.ImageSpec(image=IMAGE))
    assert found is not None
    assert IMAGE in found.repo_tags
    assert len(found.id.removeprefix("sha256:")) == 64
    assert found.size > 0
    assert found.pinned is not kit.old
    again = await kit.images.image_status(rc.ImageSpec(image=found.id))
    assert again is not None
    assert again.id == found.id
    assert found.id in [i.id for i in await kit.images.list_images()]


async def test_an_image_that_is_not_there_is_none_and_removing_it_succeeds(kit: Kit) -> None:
    absent = rc.ImageSpec(image="contract.test/absent:1")
    assert await kit.images.image_status(absent) is None
    await kit.images.remove_image(absent)


async def test_a_pull_that_cannot_be_is_an_error_that_names_the_image(kit: Kit) -> None:
    with pytest.raises(errors.CriError, match=r"PullImage of contract\.test/absent:1"):
        await kit.images.pull_image(rc.ImageSpec(image="contract.test/absent:1"))


async def test_the_image_filesystem_is_measured(kit: Kit) -> None:
    usage = await kit.images.filesystems()
    assert usage.images[0].mountpoint
    assert usage.images[0].at > 0
