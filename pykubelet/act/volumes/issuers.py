"""What projected volumes are given by the API server beside ConfigMaps and Secrets: tokens, roots, certificates."""

import dataclasses
from typing import Protocol

from pykubelet.act.volumes.pod_certificates import PodCertificates
from pykubelet.act.volumes.tokens import Tokens
from pykubelet.model.certificates import ClusterTrustBundle
from pykubelet.model.ids import Uid


class TrustBundles(Protocol):
    """The cluster's trust bundles (desired.trust_bundles)."""

    async def all(self) -> tuple[ClusterTrustBundle, ...] | None:
        """None if they are not known after a while."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Issuers:
    """One for the node."""

    tokens: Tokens
    trust_bundles: TrustBundles
    certificates: PodCertificates

    def renew_at(self, uid: Uid) -> float | None:
        """When something a Pod was given is due to be replaced (epoch seconds)."""
        times = (self.tokens.renew_at(uid), self.certificates.renew_at(uid))
        return min((at for at in times if at is not None), default=None)

    def forget(self, uid: Uid) -> None:
        """The Pod is gone."""
        self.tokens.forget(uid)
        self.certificates.forget(uid)
