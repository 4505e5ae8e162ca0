"""The kinds of volumes a node serves, in the order they are asked."""

import dataclasses
from collections.abc import Callable

from nodekit.kube.client import Client
from pykubelet.act.volumes.claims import NFS, Claimed, InlineCSI
from pykubelet.act.volumes.content import ConfigMap, DownwardAPI, Projected, Secret
from pykubelet.act.volumes.csi import CSIVolumes
from pykubelet.act.volumes.issuers import Issuers
from pykubelet.act.volumes.kinds import Facts, Kind, Objects
from pykubelet.act.volumes.plain import EmptyDir, HostPath, Image


@dataclasses.dataclass(frozen=True, slots=True)
class Storage:
    """What volumes that are not the Pod's own need; `now()` gives epoch seconds."""

    client: Client
    csi: CSIVolumes
    now: Callable[[], float]


def kinds(
    objects: Objects, issuers: Issuers, *, storage: Storage, facts: Facts, memory_allocatable: int
) -> tuple[Kind, ...]:
    """All of them. `memory_allocatable` in bytes."""
    return (
        Projected(objects, facts, issuers),
        ConfigMap(objects),
        Secret(objects),
        DownwardAPI(facts),
        EmptyDir(memory_allocatable),
        HostPath(),
        Image(),
        Claimed(storage.client, storage.csi, now=storage.now),
        InlineCSI(storage.csi),
        NFS(),
    )
