"""The kinds of volumes a node serves, in the order they are asked."""

from pykubelet.act.volumes.content import ConfigMap, DownwardAPI, Projected, Secret
from pykubelet.act.volumes.issuers import Issuers
from pykubelet.act.volumes.kinds import Facts, Kind, Objects
from pykubelet.act.volumes.plain import EmptyDir, HostPath, Image


def kinds(objects: Objects, issuers: Issuers, *, facts: Facts, memory_allocatable: int) -> tuple[Kind, ...]:
    """All that need nothing beyond the node and the API server. `memory_allocatable` in bytes."""
    return (
        Projected(objects, facts, issuers),
        ConfigMap(objects),
        Secret(objects),
        DownwardAPI(facts),
        EmptyDir(memory_allocatable),
        HostPath(),
        Image(),
    )
