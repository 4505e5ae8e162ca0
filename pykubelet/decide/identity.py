"""What the node's certificates must say, when the next one is due and what a signer's answer means. No I/O.

Source: pkg/kubelet/certificate and client-go's util/certificate. Times are epoch seconds.
"""

import dataclasses
import hashlib
import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, TypeAlias

from nodekit.objects.meta import ObjectMeta
from pykubelet.model.signing import SigningRequest, SigningRequestSpec

CLIENT_SIGNER: Final = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_SIGNER: Final = "kubernetes.io/kubelet-serving"
NODES: Final = "system:nodes"


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """A certificate to ask for. Its key is an elliptic curve's, so there is no key encipherment."""

    signer: str
    usage: str
    common_name: str
    organizations: tuple[str, ...] = (NODES,)
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """What a certificate that we hold says."""

    not_before: float
    not_after: float
    common_name: str
    organizations: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """`Denied` by an approver or `Failed` at the signer: final for this request."""

    how: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.how.lower()}: {self.reason}: {self.message}"


Answer: TypeAlias = bytes | Refused


def client(node: str) -> Wanted:
    """The certificate by which the API server knows this node."""
    return Wanted(CLIENT_SIGNER, "client auth", common_name=f"system:node:{node}")


def serving(node: str, addresses: Iterable[str]) -> Wanted:
    """The certificate by which the API server, asking :10250, knows that it talks to this node."""
    plain = set(addresses)
    names: tuple[str, ...] = (node,)
    try:
        plain.add(str(ipaddress.ip_address(node)))
        names = ()
    except ValueError:
        pass
    return Wanted(
        SERVING_SIGNER,
        "server auth",
        common_name=f"system:node:{node}",
        dns_names=names,
        addresses=tuple(sorted(plain)),
    )


def request(wanted: Wanted, pkcs10: bytes, *, name: str = "") -> SigningRequest:
    """The object to create; without a name the server makes one up."""
    return SigningRequest(
        metadata=ObjectMeta(name=name) if name else ObjectMeta(generate_name="csr-"),
        spec=SigningRequestSpec(request=pkcs10, signer_name=wanted.signer, usages=("digital signature", wanted.usage)),
    )


def bootstrap_name(pkcs10: bytes) -> str:
    """A name that follows from the request, so that an agent that was restarted finds the one it had made."""
    return f"node-csr-{hashlib.sha256(pkcs10).hexdigest()[:40]}"


def answer(found: SigningRequest) -> Answer | None:
    """The certificate in PEM, or why there is none; None while nobody has decided."""
    for condition in found.status.conditions:
        if condition.type in ("Denied", "Failed"):
            return Refused(condition.type, condition.reason, condition.message)
    return found.status.certificate or None


def fits(held: Held, wanted: Wanted) -> bool:
    """Whether the certificate is for what is wanted now: a node's name or addresses may have changed."""
    return (
        held.common_name == wanted.common_name
        and set(wanted.organizations) <= set(held.organizations)
        and set(wanted.dns_names) <= set(held.dns_names)
        and set(wanted.addresses) <= set(held.addresses)
    )


def rotate_at(held: Held, *, random: float) -> float:
    """When the next one is to be asked for: after 70 to 90 % of its life, so that nodes made together spread out."""
    return held.not_before + (held.not_after - held.not_before) * (0.7 + 0.2 * random)


def trouble(held: Held, *, now: float) -> str:
    """Why the certificate cannot be used at that time; empty if it can."""
    if now > held.not_after:
        return f"expired at {_moment(held.not_after)}; the clock here says {_moment(now)}"
    if now < held.not_before:
        return (
            f"is not valid before {_moment(held.not_before)}, and the clock here says {_moment(now)}: "
            "set this machine's clock"
        )
    return ""


def _moment(epoch: float) -> str:
    return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%dT%H:%M:%SZ}"
