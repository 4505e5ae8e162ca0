"""What the kinds of volumes share: where they lie on disk, what they are handed, how they fail."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pykubelet.decide import downward
from pykubelet.model.ids import Uid
from pykubelet.model.kinds import ConfigMapOrNot, SecretOrNot
from pykubelet.model.pod import Pod
from pykubelet.model.volume import Volume


class VolumeError(Exception):
    """A volume is not ready; the message is the genuine kubelet's and becomes a FailedMount event.

    `volume` is its name if that is another than the Pod has for it: the persistent volume's.
    """

    def __init__(self, message: str, *, volume: str = "") -> None:
        super().__init__(message)
        self.volume = volume


@dataclasses.dataclass(frozen=True, slots=True)
class Slot:
    """One volume of one Pod and the folder that is its own: `<root>/pods/<uid>/volumes/<plugin>/<name>`."""

    pod: Pod
    volume: Volume
    folder: Path

    @property
    def fs_group(self) -> int | None:
        return self.pod.spec.security_context.fs_group


class Objects(Protocol):
    """ConfigMaps and Secrets that Pods refer to (desired.referenced)."""

    def get_config_map(self, namespace: str, name: str) -> ConfigMapOrNot: ...

    def get_secret(self, namespace: str, name: str) -> SecretOrNot: ...


class Kind(Protocol):
    """A kind of volume. `fill` makes it ready, and brings changed content up to date when it is called again."""

    plugin: str
    """The folder of its kind, as the genuine kubelet names it: `kubernetes.io~configmap`."""

    def serves(self, volume: Volume) -> bool: ...

    async def fill(self, slot: Slot) -> None:
        """Raises VolumeError."""
        ...

    def path(self, slot: Slot) -> Path:
        """What containers get mounted."""
        ...

    def serving(self, slot: Slot) -> str:
        """The plugin that serves this very volume, with its driver if it has one: `kubernetes.io~csi:driver`."""
        ...

    def renew_at(self, uid: Uid) -> float | None:
        """When a volume of the Pod has to be filled again, whatever happens (epoch seconds)."""
        ...

    def groups(self, uid: Uid) -> tuple[int, ...]:
        """Groups that may use the Pod's volumes of this kind, so that its processes shall be in them."""
        ...

    def forget(self, uid: Uid) -> None:
        """The Pod is gone."""
        ...


class Stateless:
    """A kind that remembers nothing of its Pods."""

    plugin: str

    def serving(self, slot: Slot) -> str:
        """That of the kind."""
        return self.plugin

    def renew_at(self, uid: Uid) -> float | None:
        """Never."""

    def groups(self, uid: Uid) -> tuple[int, ...]:
        """None."""
        return ()

    def forget(self, uid: Uid) -> None:
        """Nothing to do."""


Facts = Callable[[tuple[str, ...]], downward.Facts]
"""Completes the downward API for a Pod with these addresses."""


def file_owner(pod: Pod) -> int | None:
    """The one user that all containers of a Pod run as; None if they differ or do not say.

    Source: FsUserFrom in pkg/volume/util: a token then belongs to that user alone.
    """
    spec = pod.spec
    users = set()
    for container in (*spec.init_containers, *spec.containers, *spec.ephemeral_containers):
        own = container.security_context.run_as_user if container.security_context else None
        users.add(own if own is not None else spec.security_context.run_as_user)
    return users.pop() if len(users) == 1 else None
