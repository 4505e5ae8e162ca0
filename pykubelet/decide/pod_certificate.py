"""What a signer's answer to a certificate request means, and when a certificate is due again. No I/O.

Source: pkg/kubelet/podcertificate.
"""

import dataclasses
from typing import TypeAlias

from pykubelet.decide import pem
from pykubelet.model.certificates import PodCertificateRequest

LOST_AFTER = 600.0
"""Seconds after which a request of ours that cannot be seen must have been deleted."""


@dataclasses.dataclass(frozen=True, slots=True)
class Issued:
    """A chain in PEM, and when to ask for the next one (epoch seconds)."""

    chain: bytes
    refresh_at: float


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """The signer will not; `how` is `Denied` or `Failed`. It is final for this Pod."""

    how: str
    reason: str
    message: str

    def __str__(self) -> str:
        return (
            f'PodCertificateRequest was permanently {self.how.lower()}: reason="{self.reason}" message="{self.message}"'
        )


Answer: TypeAlias = Issued | Refused


def answer(request: PodCertificateRequest, *, jitter: float) -> Answer | None:
    """What came of it; None while the signer has not decided. `jitter` in seconds puts the refresh off."""
    status = request.status
    for condition in status.conditions:
        if condition.type in ("Denied", "Failed"):
            return Refused(condition.type, condition.reason, condition.message)
        if condition.type == "Issued" and status.begin_refresh_at and status.not_after:
            return Issued(
                chain=pem.certificates(pem.blocks(status.certificate_chain)),
                refresh_at=status.begin_refresh_at.timestamp() + jitter,
            )
    return None
