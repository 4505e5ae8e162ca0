"""Images are asked for once, and what a Pod is told of a pull that failed, in the genuine kubelet's words."""

import asyncio
from collections.abc import Sized
from pathlib import Path

import grpc
import pytest

from nodekit.aio import clock, virtual
from pykubelet.act.image_actions import ImageActions
from pykubelet.act.images import Images
from pykubelet.act.pod_memory import PodMemory
from pykubelet.act.pulled_images import PulledImages
from pykubelet.cri import errors, fake
from pykubelet.decide.image_access import Policy
from pykubelet.errors import PodError
from pykubelet.model.actions import EnsureImage
from pykubelet.model.ids import ImageRef
from pykubelet.model.image_access import Access, Credential, SecretUse
from pykubelet.model.pod import Pod
from pykubelet.model.runtime_config import AuthConfig
from tests.unit.pykubelet.act.scene import Told, pod

IMAGE = "registry.example/thing:1"


@pytest.mark.parametrize(
    ("code", "detail", "reason", "message"),
    [
        pytest.param(
            grpc.StatusCode.UNKNOWN, "dial tcp: connection refused", "ErrImagePull", "dial tcp: connection refused",
            id="a code that is none is left out",
        ),
        pytest.param(
            grpc.StatusCode.NOT_FOUND, "thing: not found", "ErrImagePull",
            "rpc error: code = NotFound desc = thing: not found",
            id="a code is told",
        ),
        pytest.param(
            grpc.StatusCode.UNKNOWN, "RegistryUnavailable: it is closed", "RegistryUnavailable",
            f"image pull failed for {IMAGE} because the registry is unavailable: it is closed",
            id="a runtime knows that the registry is away",
        ),
        pytest.param(
            grpc.StatusCode.UNKNOWN, "SignatureValidationFailed: no", "SignatureValidationFailed",
            f"image pull failed for {IMAGE} because the signature validation failed: no",
            id="a runtime does not trust the signature",
        ),
    ],
)  # fmt: skip
def test_a_failed_pull_is_told(code: grpc.StatusCode, detail: str, reason: str, message: str) -> None:
    async def scenario() -> None:
        runtime = fake.FakeRuntime(clock=clock.VirtualClock())
        failed = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details=detail)
        runtime.world.fail("PullImage", errors.of("PullImage", failed, target=IMAGE))
        with pytest.raises(PodError) as told:
            await Images(runtime).pull(IMAGE)
        assert (told.value.reason, told.value.message) == (reason, message)

    virtual.run(scenario())


def test_those_who_look_for_an_image_at_the_same_time_share_the_answer() -> None:
    async def scenario() -> None:
        runtime = fake.FakeRuntime(clock=clock.VirtualClock())
        runtime.world.delays["ImageStatus"] = 1.0
        images = Images(runtime)
        assert await asyncio.gather(*(images.find(name) for name in (IMAGE, IMAGE, "other:1"))) == [None, None, None]
        asked = [call for call, _ in runtime.world.calls].count("ImageStatus")
        assert asked == 2
        await images.pull(IMAGE)
        assert await images.find(IMAGE) is not None, "a later one asks again"

    virtual.run(scenario())


def test_a_pods_credentials_are_looked_up_once_for_the_check_and_for_the_pull(tmp_path: Path) -> None:
    """A program that gives them may be slow, and its answer kept for no time."""
    asked: list[str] = []

    async def credentials(pod: Pod, image: str) -> tuple[Credential, ...]:
        asked.append(image)
        return (Credential(AuthConfig(username="me")),)

    async def scenario() -> None:
        runtime = fake.FakeRuntime(clock=clock.VirtualClock())
        pulled = PulledImages(tmp_path, Policy(), clock=clock.VirtualClock())
        found = await Images(runtime).pull(IMAGE)
        with pulled.pulling(IMAGE) as record:
            record(found.image.id, Access(kubernetes_secrets=(SecretUse("uid", "ns", "anothers", "hash"),)))
        images = ImageActions(Images(runtime), Told(tmp_path), credentials=credentials, pulled=pulled)
        await images.ensure(PodMemory(pod(), pod()), EnsureImage(ImageRef(IMAGE), "IfNotPresent", "main"))
        assert asked == [IMAGE]

    virtual.run(scenario())


def test_what_is_known_of_an_image_is_known_for_as_long_as_its_pod(tmp_path: Path) -> None:
    async def scenario() -> None:
        runtime = fake.FakeRuntime(clock=clock.VirtualClock())
        pulled = PulledImages(tmp_path, Policy(), clock=clock.VirtualClock())

        async def none(pod: Pod, image: str) -> tuple[Credential, ...]:
            return ()

        images = ImageActions(Images(runtime), Told(tmp_path), credentials=none, pulled=pulled)
        memory = PodMemory(pod(), pod())
        await images.ensure(memory, EnsureImage(ImageRef(IMAGE), "IfNotPresent", "main"))
        assert memory.found["main"].id == memory.images["main"].image_id
        assert not [value for value in vars(images).values() if isinstance(value, Sized) and len(value)]

    virtual.run(scenario())


def test_a_pull_that_was_given_up_does_not_hide_the_one_that_came_after_it() -> None:
    async def scenario() -> None:
        runtime = fake.FakeRuntime(clock=clock.VirtualClock())
        runtime.world.delays |= {"PullImage": 1.0, "ImageStatus": 5.0}
        images = Images(runtime)
        given_up = asyncio.create_task(images.pull(IMAGE))
        await asyncio.sleep(2)
        given_up.cancel()
        await asyncio.wait([given_up])
        second = asyncio.create_task(images.pull(IMAGE))
        await asyncio.sleep(5)  # the first has ended by now: what it pulled is looked at to the end
        third = asyncio.create_task(images.pull(IMAGE))
        assert await second == await third
        assert [call for call, _ in runtime.world.calls].count("PullImage") == 2

    virtual.run(scenario())
