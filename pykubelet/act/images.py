"""Has images on the node: each pulled once however many Pods want it, several at a time, with the Pods' credentials."""

import asyncio
import dataclasses
import functools
import time
from collections.abc import Sequence
from typing import Final, TypeAlias

from nodekit.aio.bounded import Limiter
from pykubelet.act.operations import to_its_end
from pykubelet.cri import errors, runtime_api
from pykubelet.errors import PodError
from pykubelet.model import image_names, observed
from pykubelet.model.runtime_config import AuthConfig, ImageSpec

NEVER, ALWAYS = "Never", "Always"
NO_LIMIT: Final = 1_000

_REGISTRY_UNAVAILABLE = "RegistryUnavailable"
_SIGNATURE = "SignatureValidationFailed"


@dataclasses.dataclass(frozen=True, slots=True)
class Pulled:
    """An image that is here now, after `seconds`; `waited` counts the queue too. `used` is which credentials worked."""

    image: observed.Image
    seconds: float
    waited: float
    used: int


_Key: TypeAlias = tuple[str, tuple[AuthConfig, ...]]
"""Who shares a pull: the same image and credentials."""


@dataclasses.dataclass(slots=True)
class _Pull:
    task: asyncio.Task[Pulled]
    waiting: int = 0


class Images:
    """`at_once` bounds the pulls under way: 1 is serializeImagePulls, None no bound (maxParallelImagePulls)."""

    def __init__(self, service: runtime_api.ImageService, *, at_once: int | None = None) -> None:
        self._service = service
        self._limiter = Limiter(at_once or NO_LIMIT)
        self._asked: dict[str, asyncio.Task[observed.Image | None]] = {}
        self._pulls: dict[_Key, _Pull] = {}

    async def find(self, name: str) -> observed.Image | None:
        """The image if it is on the node; a burst of Pods asks once. PodError InvalidImageName or ImageInspectError."""
        spec = _spec(name)
        asked = self._asked.get(spec.image)
        if asked is None:
            asked = self._asked[spec.image] = asyncio.create_task(self._find(spec), name=f"find {spec.image}")
            asked.add_done_callback(lambda _: self._asked.pop(spec.image, None))
        return await asyncio.shield(asked)

    async def pull(self, name: str, credentials: Sequence[AuthConfig] = ()) -> Pulled:
        """Pull, or share a pull of the same image with the same credentials (maybe none); those are tried in order.

        PodError ErrImagePull (or the more exact words of the runtime) if none of them works.
        """
        spec = _spec(name)
        key = (spec.image, tuple(credentials))
        pull = self._pulls.get(key)
        if pull is None:
            task = asyncio.create_task(self._pull(spec, tuple(credentials)), name=f"pull {spec.image}")
            pull = self._pulls[key] = _Pull(task)
            task.add_done_callback(functools.partial(self._over, key, pull))
        pull.waiting += 1
        try:
            return await asyncio.shield(pull.task)
        finally:
            pull.waiting -= 1
            if not pull.waiting and not pull.task.done():
                # Nobody wants it any more.
                self._over(key, pull)
                pull.task.cancel()

    def _over(self, key: _Key, pull: _Pull, _: object = None) -> None:
        # One that was given up may end long after another of the same image has begun.
        if self._pulls.get(key) is pull:
            del self._pulls[key]

    async def _find(self, spec: ImageSpec) -> observed.Image | None:
        try:
            return await self._service.image_status(spec)
        except errors.CriError as error:
            raise PodError("ImageInspectError", f'Failed to inspect image "{spec.image}": {error.said}') from error

    async def _pull(self, spec: ImageSpec, credentials: tuple[AuthConfig, ...]) -> Pulled:
        asked = time.monotonic()
        async with self._limiter:
            began = time.monotonic()
            image_id, used = await self._try(spec, credentials or (None,))
            ended = time.monotonic()
        found = await to_its_end(self._find(ImageSpec(image=image_id)))
        if found is None:
            raise PodError("ErrImagePull", f"{spec.image} was pulled as {image_id}, but is not there")
        return Pulled(found, seconds=ended - began, waited=ended - asked, used=used)

    async def _try(self, spec: ImageSpec, credentials: Sequence[AuthConfig | None]) -> tuple[str, int]:
        """The image's id, and which credentials opened it; the last failure if none did."""
        failure: errors.CriError | None = None
        for number, auth in enumerate(credentials):
            try:
                return await self._service.pull_image(spec, auth=auth), number
            except errors.CriError as error:
                failure = error
        assert failure is not None
        raise _words(spec.image, failure) from failure


def _spec(name: str) -> ImageSpec:
    full = image_names.full(name)
    if full is None:
        message = f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}"'
        raise PodError("InvalidImageName", f"{message}: invalid reference format")
    return ImageSpec(image=full)


def _words(image: str, error: errors.CriError) -> PodError:
    """Source: evalCRIPullErr in pkg/kubelet/images, and cri-client, which tells a code only where it is one."""
    detail = error.detail if error.code == errors.CriError.code else error.said
    if detail.startswith(_REGISTRY_UNAVAILABLE):
        rest = detail.removeprefix(_REGISTRY_UNAVAILABLE)
        return PodError(
            _REGISTRY_UNAVAILABLE, f"image pull failed for {image} because the registry is unavailable{rest}"
        )
    if detail.startswith(_SIGNATURE):
        rest = detail.removeprefix(_SIGNATURE)
        return PodError(_SIGNATURE, f"image pull failed for {image} because the signature validation failed{rest}")
    return PodError("ErrImagePull", detail)
