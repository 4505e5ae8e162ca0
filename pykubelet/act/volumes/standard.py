"""The kinds of volumes a node serves, in the order they are asked."""

from nodekit.kube.client import Client
from pykubelet.act.volumes.claims import NFS, Claimed, InlineCSI
from pykubelet.act.volumes.content import ConfigMap, DownwardAPI, Projected, Secret
from pykubelet.act.volumes.csi import CSIVolumes
from pykubelet.act.volumes.issuers import Issuers
from pykubelet.act.volumes.kinds import Facts, Kind, Objects
from pykubelet.act.volumes.plain import EmptyDir, HostPath, Image


def kinds(
    objects: Objects, issuers: Issuers, *, storage: tuple[Client, CSIVolumes], facts: Facts, memory_allocatable: int
) -> tuple[Kind, ...]:
    """All of them. `memory_allocatable` in bytes."""
    client, csi = storage
    return (
        Projected(objects, facts, issuers),
        ConfigMap(objects),
        Secret(objects),
        DownwardAPI(facts),
        EmptyDir(memory_allocatable),
        HostPath(),
        Image(),
        Claimed(client, csi),
        InlineCSI(csi),
        NFS(),
    )
