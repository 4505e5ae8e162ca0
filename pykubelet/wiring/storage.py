"""Puts together what volumes are made of: their kinds, storage drivers, tokens, certificates and trust bundles."""

import logging
from collections.abc import Callable

from nodekit.aio.backoff import Backoff
from nodekit.aio.clock import SystemClock
from nodekit.aio.tasks import Tasks
from nodekit.kube.client import Client
from pykubelet.act.files import PodFiles
from pykubelet.act.volumes import VolumeManager, standard
from pykubelet.act.volumes.claims import Claimed
from pykubelet.act.volumes.csi import CSIVolumes
from pykubelet.act.volumes.csi_data import CSIData
from pykubelet.act.volumes.issuers import Issuers
from pykubelet.act.volumes.kinds import VolumeError
from pykubelet.act.volumes.nfs import NFS
from pykubelet.act.volumes.pod_certificates import PodCertificates
from pykubelet.act.volumes.tokens import Token, Tokens
from pykubelet.config.settings import Settings
from pykubelet.decide import references
from pykubelet.desired.csi_drivers import CSIDrivers
from pykubelet.desired.trust_bundles import TrustBundles
from pykubelet.model.ids import Uid
from pykubelet.model.machine import Filesystem
from pykubelet.model.pod import Pod
from pykubelet.model.usage import MountedVolume
from pykubelet.observe.plugins import Plugins
from pykubelet.options import Options
from pykubelet.wiring.api import ApiLoop

log = logging.getLogger(__name__)


class Storage:
    """`volumes` is what Pods are given. `changed(which)` is called when Pods for which `which(pod)` is true may want
    their volumes filled again, `wake(uid)` for one Pod; `memory` is the node's, in bytes."""

    def __init__(
        self,
        settings: Settings,
        options: Options,
        *,
        client: Client,
        api: ApiLoop,
        memory: int,
        wake: Callable[[Uid], None],
        changed: Callable[[Callable[[Pod], bool]], None],
    ) -> None:
        known = api.known
        self._changed = changed
        self.files = PodFiles(options.root, cluster_domain=settings.cluster_domain)
        now = _epoch(SystemClock())
        self.trust_bundles = TrustBundles(client, changed=self._trust_bundles_changed)
        self.certificates = PodCertificates(client, node=options.node_name, recorder=api.events, wake=wake, now=now)
        tokens = Tokens(client, now=now, shelf=lambda uid: known.tokens(uid, Token))
        issuers = Issuers(tokens, self.trust_bundles, self.certificates)
        self.csi_drivers = CSIDrivers(client, known.csi_drivers())
        self.plugins = Plugins(options.root / "plugins_registry")
        self.plugins.subscribe(self._plugins_changed)
        data = CSIData(options.root, node=options.node_name)
        parts = (self.plugins, self.csi_drivers)
        self.csi = CSIVolumes(client, data, parts=parts, tokens=tokens, node=options.node_name)
        self.claimed = Claimed(client, self.csi, now=now)
        self._nfs = NFS()
        storage = standard.Storage(self.claimed, self.csi, self._nfs)
        kinds = standard.kinds(api.referenced, issuers, storage=storage, facts=api.facts, memory_allocatable=memory)
        self.volumes = VolumeManager(self.files, kinds, csi=self.csi, issuers=issuers, recorder=api.events)

    def measurable(self, uid: Uid) -> tuple[MountedVolume, ...]:
        """The volumes of a Pod that are filesystems of their own, of which it can be told how full they are."""
        return (*self.claimed.measurable(uid), *self._nfs.measurable(uid))

    async def filesystem(self, volume: MountedVolume) -> Filesystem | None:
        """How full a storage driver's volume is; None if it is not known."""
        try:
            return await self.csi.filesystem(volume)
        except VolumeError as error:
            log.warning("how full the volume of claim %s/%s is: %s", volume.namespace, volume.claim, error)
            return None

    def start(self, tasks: Tasks, *, restart: Backoff) -> None:
        """Have it all run."""
        tasks.start("csi-drivers", self.csi_drivers.run, restart=restart)
        tasks.start("plugins", self.plugins.run, restart=restart)
        tasks.start("trust-bundles", self.trust_bundles.run, restart=restart)
        tasks.start("pod-certificates", self.certificates.run, restart=restart)

    def _plugins_changed(self) -> None:
        self._changed(_wants_a_driver)

    def _trust_bundles_changed(self) -> None:
        self._changed(references.wants_trust_bundles)


def _wants_a_driver(pod: Pod) -> bool:
    return any(volume.csi or volume.persistent_volume_claim or volume.ephemeral for volume in pod.spec.volumes)


def _epoch(clock: SystemClock) -> Callable[[], float]:
    return lambda: clock.now().timestamp()
