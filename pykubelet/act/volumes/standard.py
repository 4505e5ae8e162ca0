"""The kinds of volumes a node serves, in the order they are asked."""

import dataclasses

from pykubelet.act.volumes.claims import Claimed, InlineCSI
from pykubelet.act.volumes.content import ConfigMap, DownwardAPI, Projected, Secret
from pykubelet.act.volumes.csi import CSIVolumes
from pykubelet.act.volumes.issuers import Issuers
from pykubelet.act.volumes.kinds import Facts, Kind, Objects
from pykubelet.act.volumes.nfs import NFS
from pykubelet.act.volumes.plain import EmptyDir, HostPath, Image


@dataclasses.dataclass(frozen=True, slots=True)
class Storage:
    """What serves volumes that are not the Pod's own."""

    claimed: Claimed
    csi: CSIVolumes
    nfs: NFS


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
        storage.claimed,
        InlineCSI(storage.csi),
        storage.nfs,
    )
