"""The Pods the API server has bound to this node, mirrored into the desired state; mirror Pods are kept apart."""

import logging
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from nodekit.kube import watch
from nodekit.kube.client import Client, Selection
from nodekit.kube.shelf import Shelf
from nodekit.objects import meta
from pykubelet.decide import status_merge
from pykubelet.desired.merge import Desired, Source
from pykubelet.model.ids import Uid
from pykubelet.model.kinds import PODS
from pykubelet.model.pod import Pod
from pykubelet.model.status import PodStatus

MIRROR: Final = "kubernetes.io/config.mirror"
"""The annotation of an API object that only shows a static Pod. Source: pkg/kubelet/types.ConfigMirrorAnnotationKey."""

log = logging.getLogger(__name__)


class _Merged(NamedTuple):
    """A Pod, the status that was last told of it, and both together."""

    pod: Pod
    told: PodStatus | None
    shown: Pod


class ApiPods:
    """Run it as a task. `mirrors` holds this node's mirror Pods by name.

    `is_echo(before, pod)` tells whether a state of a Pod only came about by our own report of its status. The Pods are
    kept on the shelf, each with the status that `last_status(uid)` gives: the API may not have it yet.
    """

    def __init__(
        self,
        client: Client,
        desired: Desired,
        *,
        node_name: str,
        is_echo: Callable[[Pod | None, Pod], bool] = lambda before, pod: False,
        shelf: Shelf[Pod] | None = None,
    ) -> None:
        self._desired = desired
        self._is_echo = is_echo
        selection = Selection(fields=f"spec.nodeName={node_name}")
        self._reflector = watch.whole(client, PODS, selection=selection, shelf=shelf)
        self._reflector.subscribe(self._changed)
        self._reflector.shelved = self._shelved
        self._merged: dict[meta.Key, _Merged] = {}
        self.last_status: Callable[[Uid], PodStatus | None] = lambda _: None

    @property
    def synced(self) -> bool:
        """Whether the API has been asked: only then does no answer for a name mean that there is no such Pod."""
        return self._reflector.fresh.is_set()

    def mirror(self, key: meta.Key) -> Pod | None:
        """The mirror Pod of this name, if the API has one."""
        pod = self._reflector.store.get(key)
        return pod if pod is not None and MIRROR in pod.metadata.annotations else None

    def get(self, key: meta.Key) -> Pod | None:
        """The Pod of this name as the API has it."""
        return self._reflector.store.get(key)

    def mirrors(self) -> list[Pod]:
        """This node's mirror Pods."""
        return [pod for pod in self._reflector.store.values() if MIRROR in pod.metadata.annotations]

    async def run(self) -> None:
        """Mirror until cancelled."""
        await self._reflector.run()

    async def wait_synced(self) -> None:
        """Wait for the first list, then say that this source is complete: what was last known may not be."""
        await self._reflector.fresh.wait()
        self._desired.source_synced(Source.API)

    def status_changed(self) -> None:
        """Have the last statuses kept."""
        self._reflector.remember()

    def _shelved(self) -> Mapping[meta.Key, Pod]:
        before = self._merged
        self._merged = {key: self._with_status(pod, before.get(key)) for key, pod in self._reflector.store.items()}
        return {key: merged.shown for key, merged in self._merged.items()}

    def _with_status(self, pod: Pod, before: _Merged | None) -> _Merged:
        told = self.last_status(pod.uid)
        if before is not None and before.pod is pod and before.told is told:
            return before
        if told is None:
            return _Merged(pod, told, pod)
        merged = status_merge.of(pod, told, pod.status)
        return _Merged(pod, told, msgspec.structs.replace(pod, status=merged))

    def _changed(self, change: watch.Change[Pod]) -> None:
        old, new = change.old, change.new
        # A name can come back under another UID between two lists: then the old Pod is gone all the same.
        if old is not None and (new is None or new.uid != old.uid):
            self._tell(old, None)
        if new is not None:
            self._tell(new, new)

    def _tell(self, pod: Pod, now: Pod | None) -> None:
        uid = pod.uid
        if MIRROR in pod.metadata.annotations:
            # The static Pod's UID is the mirror's hash: its worker makes or removes the mirror.
            self._desired.touch(Uid(pod.metadata.annotations[MIRROR]))
        elif now is None:
            self._desired.drop(uid, Source.API)
        else:
            self._desired.put(now, Source.API, news=not self._is_echo(self._desired.get(uid), now))
