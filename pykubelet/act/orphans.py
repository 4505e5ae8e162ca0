"""What to take a Pod for of which only its containers are left: enough of it to stop and remove them. No I/O."""

from typing import Final

from nodekit.objects.meta import ObjectMeta
from pykubelet.model.container import Container
from pykubelet.model.observed import PodRuntime
from pykubelet.model.pod import Pod, PodSpec

_GRACE: Final = "io.kubernetes.pod.terminationGracePeriod"
_DELETION_GRACE: Final = "io.kubernetes.pod.deletionGracePeriod"


def pod_of(seen: PodRuntime) -> Pod:
    """A Pod with the names the runtime's labels give and the grace its containers were started with."""
    annotations = [container.annotations for container in seen.containers]
    grace = next((_seconds(a.get(_DELETION_GRACE) or a.get(_GRACE)) for a in annotations), None)
    names = dict.fromkeys(container.name for container in seen.containers)
    return Pod(
        metadata=ObjectMeta(namespace=seen.namespace, name=seen.name, uid=seen.uid),
        spec=PodSpec(
            containers=tuple(Container(name=name) for name in names),
            termination_grace_period_seconds=30 if grace is None else grace,
        ),
    )


def _seconds(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
