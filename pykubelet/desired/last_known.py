"""What is kept on disk so that a node that starts while no API server answers can run its Pods again, and where."""

import enum
from pathlib import Path
from typing import Any, TypeVar

from nodekit.kube.shelf import Shelf, Shelves
from nodekit.objects.node import Node
from pykubelet.decide.references import Reference, Referred
from pykubelet.model.ids import Uid
from pykubelet.model.kinds import ConfigMap, Secret, Service
from pykubelet.model.pod import Pod
from pykubelet.model.storage import CSIDriverSpec

V = TypeVar("V")


class Keep(enum.StrEnum):
    """How much is kept. The values are those of the flag --last-known-state."""

    ALL = "all"
    NO_SECRETS = "no-secrets"
    NOTHING = "none"


class LastKnown:
    """The files by what is in them; None where nothing is to be kept. Run `shelves` as a task."""

    def __init__(self, root: Path, keep: Keep) -> None:
        self.shelves = Shelves(root / "pykubelet" / "last-known")
        self._keep = keep

    def pods(self) -> Shelf[Pod] | None:
        """The Pods the API server has bound to this node."""
        return self._of("pods", Pod)

    def node(self) -> Shelf[Node] | None:
        """This node's Node."""
        return self._of("node", Node)

    def services(self) -> Shelf[Service] | None:
        """The Services that environments name."""
        return self._of("services", Service)

    def runtime_classes(self) -> Shelf[str] | None:
        """The handlers of the RuntimeClasses."""
        return self._of("runtimeclasses", str)

    def csi_drivers(self) -> Shelf[CSIDriverSpec] | None:
        """What storage drivers want."""
        return self._of("csidrivers", CSIDriverSpec)

    def referenced(self, reference: Reference) -> Shelf[Any] | None:
        """A ConfigMap or Secret that Pods refer to."""
        namespace, name = (part.replace("/", "_") for part in reference.key)
        if reference.kind is Referred.CONFIG_MAP:
            return self._of(f"configmaps/{namespace}/{name}", ConfigMap)
        return self._of(f"secrets/{namespace}/{name}", Secret, secret=True)

    def tokens(self, uid: Uid, kind: type[V]) -> Shelf[V] | None:
        """The service-account tokens of a Pod."""
        return self._of(f"tokens/{uid}", kind, secret=True)

    def _of(self, name: str, kind: type[V], *, secret: bool = False) -> Shelf[V] | None:
        if self._keep is Keep.NOTHING or (secret and self._keep is Keep.NO_SECRETS):
            return None
        return self.shelves.of(name, kind)
