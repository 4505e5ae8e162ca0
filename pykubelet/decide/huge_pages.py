"""Which huge pages an emptyDir volume is made of. No I/O. Source: getPageSizeMountOption in pkg/volume/emptydir."""

from nodekit.objects import quantity
from pykubelet.decide import resources
from pykubelet.decide.environment import ConfigError
from pykubelet.model.pod import Pod

ANY = "HugePages"


def of(pod: Pod, medium: str) -> int:
    """The page size in bytes for `HugePages` or `HugePages-<size>`. ConfigError unless the Pod asks for such pages."""
    spec = pod.spec
    wanted = None if medium == ANY else quantity.parse(medium.removeprefix(f"{ANY}-")).value
    asked = {
        quantity.parse(name.removeprefix(resources.HUGEPAGES)).value
        for container in (*spec.init_containers, *spec.containers)
        for name in container.resources.requests
        if name.startswith(resources.HUGEPAGES)
    }
    found = asked if wanted is None else asked & {wanted}
    if len(found) > 1:
        raise ConfigError(f"medium: {medium} can't be used if container requests multiple huge page sizes")
    if not found:
        raise ConfigError(
            f"medium {medium}: hugePages storage requested, but there is no resource request for huge pages"
        )
    return found.pop()
