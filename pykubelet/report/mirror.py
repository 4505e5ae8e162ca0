"""The API objects that show static Pods: made, replaced and removed as their files come, change and go.

Source: tryReconcileMirrorPods in K/pkg/kubelet/kubelet.go, K/pkg/kubelet/pod/mirror_client.go.
"""

import logging
from typing import Final

import msgspec

from nodekit.aio.clock import Clock
from nodekit.kube import errors
from nodekit.kube.client import Client
from nodekit.objects import meta
from nodekit.objects import status as api_status
from nodekit.objects.node import Node
from pykubelet.model.ids import Uid
from pykubelet.model.kinds import PODS
from pykubelet.model.pod import Pod
from pykubelet.model.status import PodStatus
from pykubelet.report import ports

HASH: Final = "kubernetes.io/config.hash"
SOURCE: Final = "kubernetes.io/config.source"
MIRROR: Final = "kubernetes.io/config.mirror"
_SWEEP: Final = 30.0

log = logging.getLogger(__name__)


def is_static(pod: Pod) -> bool:
    """Whether a Pod comes from this machine's files; a mirror does not."""
    annotations = pod.metadata.annotations
    return annotations.get(SOURCE, "api") != "api" and MIRROR not in annotations


class Mirrors:
    """Run it as a task, to remove mirrors of files that went while no kubelet ran."""

    def __init__(
        self, client: Client, pods: ports.ApiPods, wanted: ports.Wanted, *, node: ports.OwnNode, clock: Clock
    ) -> None:
        self._client = client
        self._pods = pods
        self._wanted = wanted
        self._node = node
        self._clock = clock
        self._in_use: set[Uid] = set()

    async def target(self, pod: Pod, *, finished: bool) -> Pod | None:
        """The mirror of a static Pod, made if need be; None while there is none. Raises errors.ApiError."""
        self._in_use.add(pod.uid)
        wanted = self._wanted.get(pod.uid) is not None
        mirror = self._pods.get(pod.key)
        if mirror is None:
            return await self._create(pod) if wanted else None
        if MIRROR not in mirror.metadata.annotations:
            log.warning("static Pod %s is not shown: the API has another Pod of this name", pod.key)
            return None
        if wanted:
            if not _differs(mirror, pod):
                return mirror
            await self._remove(mirror)
            return await self._create(pod)
        if _differs(mirror, pod):
            return None  # it shows what came after this Pod
        if finished:
            await self._remove(mirror)
            return None
        return mirror

    def release(self, uid: Uid) -> None:
        """Nothing more will be told of this Pod."""
        self._in_use.discard(uid)

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self._clock.sleep(_SWEEP)
            if not self._wanted.synced:
                continue
            for mirror in list(self._pods.mirrors()):
                uid = Uid(mirror.metadata.annotations[MIRROR])
                if self._wanted.get(uid) is None and uid not in self._in_use:
                    try:
                        await self._remove(mirror)
                    except errors.ApiError as error:
                        log.info("the mirror of a static Pod that is gone stays for now: %s", error)

    async def _create(self, pod: Pod) -> Pod | None:
        node = self._node.current
        if node is None or node.metadata.deletion_timestamp is not None:
            return None
        try:
            made = await self._client.create(PODS, mirror_of(pod, node))
        except errors.AlreadyExists:
            return None  # the watch will show it
        log.info("the static Pod %s is shown in the API", pod.key)
        return made

    async def _remove(self, mirror: Pod) -> None:
        options = api_status.DeleteOptions(
            grace_period_seconds=0, preconditions=api_status.Preconditions(uid=mirror.uid)
        )
        try:
            await self._client.delete(PODS, mirror.key, options)
        except (errors.NotFound, errors.Conflict):
            return
        log.info("the mirror of static Pod %s is removed", mirror.key)


def mirror_of(pod: Pod, node: Node) -> Pod:
    """The object that shows a static Pod: bound to the Node's life, as MirrorPodNodeRestriction wants it."""
    owner = meta.OwnerReference(
        api_version="v1", kind="Node", name=node.metadata.name, uid=node.metadata.uid, controller=True
    )
    about = pod.metadata
    metadata = meta.ObjectMeta(
        name=about.name,
        namespace=about.namespace,
        labels=about.labels,
        annotations={**about.annotations, MIRROR: about.annotations[HASH]},
        owner_references=(owner,),
    )
    return msgspec.structs.replace(pod, metadata=metadata, status=PodStatus())


def _differs(mirror: Pod, pod: Pod) -> bool:
    shown = mirror.metadata.annotations.get(MIRROR)
    return mirror.metadata.deletion_timestamp is not None or shown != pod.metadata.annotations.get(HASH)
