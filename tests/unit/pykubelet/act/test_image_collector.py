"""Unused images go from the fake runtime when the disk is nearly full; used and new ones stay."""

import asyncio
from pathlib import Path

from nodekit.aio import virtual
from nodekit.aio.clock import VirtualClock
from pykubelet.act.image_gc import ImageCollector
from pykubelet.cri.fake import FakeRuntime
from pykubelet.decide.image_gc import Policy
from pykubelet.model import observed
from pykubelet.model.ids import ContainerId, SandboxId, Uid

FULL = Policy(high_percent=0, low_percent=0)
"""Under this policy every disk is too full."""


class Runtime(FakeRuntime):
    """Its images lie on a disk there is."""

    def __init__(self, disk: Path) -> None:
        super().__init__(clock=VirtualClock())
        self.disk = disk

    async def filesystems(self) -> observed.ImageFilesystems:
        usage = observed.FilesystemUsage(at=0.0, mountpoint=str(self.disk), used_bytes=1, inodes_used=1)
        return observed.ImageFilesystems(images=(usage,))


def container(image: str) -> observed.Container:
    return observed.Container(
        id=ContainerId("c"),
        name="c",
        attempt=0,
        pod_uid=Uid("u"),
        sandbox_id=SandboxId("s"),
        state=observed.ContainerState.RUNNING,
        created_at=1.0,
        image_id=image,
    )


def test_what_nobody_uses_goes(tmp_path: Path) -> None:
    async def scenario() -> None:
        told: list[str] = []
        runtime = Runtime(tmp_path)
        for name in ("used", "unused"):
            image = observed.Image(id=f"sha256:{name}", repo_tags=(f"{name}:1",), size=1)
            runtime.world.images[f"{name}:1"] = image
        collector = ImageCollector(
            runtime,
            FULL,
            containers=lambda: [container("sha256:used")],
            tell=lambda reason, message: told.append(reason),
            settle=lambda images, began: None,
            clock=VirtualClock(),
        )
        await collector.collect()
        assert len(await runtime.list_images()) == 2, "an image just seen is about to be used"
        await asyncio.sleep(200)
        await collector.collect()
        assert [image.id for image in await runtime.list_images()] == ["sha256:used"]
        assert "FreeDiskSpaceFailed" in told
        await asyncio.sleep(200)
        assert await collector.remove_unused() == 0

    virtual.run(scenario())
