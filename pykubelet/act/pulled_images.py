"""Remembers on disk which images were pulled, and with whose credentials: nobody else's Pods may use them.

The files are the genuine kubelet's (image_manager/ below its root), so that either kubelet goes on with the other's.
"""

import contextlib
import datetime as dt
import hashlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec

from nodekit import whole_file
from nodekit.aio.clock import Clock
from pykubelet import meters
from pykubelet.decide import image_access
from pykubelet.decide.image_access import Policy, Verdict
from pykubelet.errors import PodError
from pykubelet.model import observed
from pykubelet.model.image_access import (
    API_VERSION,
    NOBODY,
    Access,
    Credential,
    ImagePulledRecord,
    ImagePullIntent,
)

_F = TypeVar("_F", ImagePulledRecord, ImagePullIntent)
_PREFIX: Final = "sha256-"
_FRESH: Final = ".tmp"
_LONG_AGO: Final = dt.datetime.fromtimestamp(0, dt.UTC)

log = logging.getLogger(__name__)


class PulledImages:
    """`root` is the kubelet's. Reads what is there when it is made; the one writer of these files from then on."""

    def __init__(self, root: Path, policy: Policy, *, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        folder = root / "image_manager"
        self._intents = _Files(folder / "pulling", ImagePullIntent, ImagePullIntent(API_VERSION, ""))
        self._records = _Files(folder / "pulled", ImagePulledRecord, ImagePulledRecord(API_VERSION, _LONG_AGO, ""))
        self._under_way: Counter[str] = Counter()
        self._count()

    async def may_use(self, image: str, image_id: str, offers: Callable[[], Awaitable[Sequence[Credential]]]) -> bool:
        """Whether a Pod may use an image that is here; if not, it must be pulled with what the Pod has.

        `offers` gives the Pod's credentials; they are asked for only if something depends on them.
        """
        verdict = Verdict.ERROR
        try:
            verdict = await self._verdict(image, image_id, offers)
        finally:
            meters.must_pull_checks.labels(verdict).inc()
        return verdict is not Verdict.MUST_PULL

    @contextlib.contextmanager
    def pulling(self, image: str) -> Iterator[Callable[[str, Access], None]]:
        """Around a pull: what was begun is on disk before it begins. Call what it gives with the image's id and access.

        PodError ErrImagePull if nothing can be written: such an image would be everybody's.
        """
        try:
            self._intents.write(image, ImagePullIntent(API_VERSION, image))
        except OSError as error:
            said = f'Failed to record image pull intent for container image "{image}": {error}'
            raise PodError("ErrImagePull", said) from error
        self._under_way[image] += 1
        self._count()
        lost = False

        def record(image_id: str, access: Access) -> None:
            nonlocal lost
            lost = not self._learn(image, image_id, access)

        try:
            yield record
        finally:
            self._under_way[image] -= 1
            if not self._under_way[image]:
                del self._under_way[image]
                if not lost:
                    self._intents.remove(image)
            self._count()

    def settle(self, images: Iterable[observed.Image], began: float) -> None:
        """After a look at all images that there are, begun at a Unix time: forget those that are gone.

        What was being pulled when the kubelet died is here without anybody knowing whose it is: it is nobody's.
        """
        present = {image.id: {*image.repo_tags, *image.repo_digests} for image in images}
        for intent in self._intents.all():
            if self._under_way[intent.image]:
                continue
            named = [image_id for image_id, names in present.items() if intent.image in names]
            if all(self._learn(intent.image, image_id, NOBODY) for image_id in named):
                self._intents.remove(intent.image)
        for record in self._records.all():
            # Records know whole seconds only: one of the second in which the look began may be younger than it.
            if record.image_ref not in present and record.last_updated_time.timestamp() < int(began):
                self._records.remove(record.image_ref)
        self._count()

    async def _verdict(
        self, image: str, image_id: str, offers: Callable[[], Awaitable[Sequence[Credential]]]
    ) -> Verdict:
        record = self._records.get(image_id)
        pulled = record is not None or self._intents.get(image) is not None
        if not self._policy.asks(image, pulled=pulled):
            return Verdict.NOT_ASKED
        verdict = image_access.judged(record, image)
        if verdict is not None or record is None:
            return verdict or Verdict.MUST_PULL
        verdict, learned = image_access.offered(record, image, [one.access for one in await offers()])
        if learned != NOBODY:
            self._learn(image, image_id, learned)
        return verdict

    def _learn(self, image: str, image_id: str, access: Access) -> bool:
        """Whether it is on disk now."""
        before = self._records.get(image_id)
        after = image_access.recorded(before, image, image_id, access, self._clock.now())
        if after is before:
            return True
        try:
            self._records.write(image_id, after)
        except OSError as error:
            log.error("whose Pods may use image %s (%s) is not recorded: %s", image, image_id, error)
            return False
        self._count()
        return True

    def _count(self) -> None:
        meters.pull_intents.set(len(self._intents))
        meters.pulled_records.set(len(self._records))


class _Files(Generic[_F]):
    """Files of one kind in a folder, each named by a hash of its key, and what they hold. For root's eyes only.

    A file that cannot be read stands for `unreadable`, until its key is written or removed.
    """

    def __init__(self, folder: Path, kind: type[_F], unreadable: _F) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._held: dict[str, _F] = {}
        for path in folder.glob(f"{_PREFIX}*"):
            if path.suffix == _FRESH:
                continue
            try:
                self._held[path.name] = msgspec.json.decode(path.read_bytes(), type=kind)
            except (OSError, msgspec.DecodeError) as error:
                log.warning("%s cannot be read, so the image has to be pulled again: %s", path, error)
                self._held[path.name] = unreadable

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: str) -> _F | None:
        return self._held.get(_name(key))

    def all(self) -> tuple[_F, ...]:
        return tuple(self._held.values())

    def write(self, key: str, value: _F) -> None:
        """Raises OSError."""
        name = _name(key)
        if self._held.get(name) == value:
            return
        whole_file.write(self._folder / name, msgspec.json.encode(value), mode=0o600, via=name + _FRESH)
        self._held[name] = value

    def remove(self, key: str) -> None:
        name = _name(key)
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            log.error("%s stays: %s", self._folder / name, error)
            return
        self._held.pop(name, None)


def _name(key: str) -> str:
    return _PREFIX + hashlib.sha256(key.encode()).hexdigest()
