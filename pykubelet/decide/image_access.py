"""Whether a Pod may use an image that is on the node already, or must first show that it could pull it. No I/O.

Source: pkg/kubelet/images/pullmanager.
"""

import dataclasses
import datetime as dt
import enum
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

import msgspec

from pykubelet.model import image_names
from pykubelet.model.image_access import (
    API_VERSION,
    EVERYBODY,
    NOBODY,
    Access,
    AccountUse,
    ImagePulledRecord,
    SecretUse,
)

_Use = TypeVar("_Use", SecretUse, AccountUse)
_ENOUGH: Final = 100
"""Secrets of a record from which on those that match are not added any more, however many namespaces come and go."""


class Verdict(enum.StrEnum):
    """The values are those of the metric kubelet_imagemanager_image_mustpull_checks_total."""

    NOT_ASKED = "credentialPolicyAllowed"
    KNOWN = "credentialRecordFound"
    MUST_PULL = "mustAuthenticate"
    ERROR = "error"


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """imagePullCredentialsVerificationPolicy and preloadedImagesVerificationAllowlist."""

    name: str = "NeverVerifyPreloadedImages"
    allowlist: tuple[str, ...] = ()

    def asks(self, image: str, *, pulled: bool) -> bool:
        """Whether credentials matter for an image; `pulled`: a kubelet pulled it, it was not put on the node."""
        match self.name:
            case "NeverVerify":
                return False
            case "AlwaysVerify":
                return True
            case "NeverVerifyAllowlistedImages":
                bare = image_names.bare(image)
                return not any(_matches(pattern, bare) for pattern in self.allowlist)
            case _:
                return pulled


def _matches(pattern: str, bare: str) -> bool:
    return bare.startswith(pattern.removesuffix("*")) if pattern.endswith("/*") else bare == pattern


def judged(record: ImagePulledRecord | None, image: str) -> Verdict | None:
    """What the record alone says of an image that the policy asks about; None: it depends on the Pod's credentials."""
    access = _access(record, image)
    if access.node_pods_accessible:
        return Verdict.KNOWN
    return Verdict.MUST_PULL if access == NOBODY else None


def offered(record: ImagePulledRecord, image: str, offers: Sequence[Access]) -> tuple[Verdict, Access]:
    """The same by what the Pod has; and what the record should learn of it, NOBODY if nothing.

    A secret counts if it holds what opened the image, or if it is the one that did, whatever it holds now. A record
    learns of the other half, as long as it is not full.
    """
    access = _access(record, image)
    for secret in (secret for offer in offers for secret in offer.kubernetes_secrets):
        for known in access.kubernetes_secrets:
            same_content = bool(known.credential_hash) and secret.credential_hash == known.credential_hash
            same_secret = _place(secret) == _place(known)
            if not same_content and not (same_secret and len(access.kubernetes_secrets) < _ENOUGH):
                continue
            learn = same_content != same_secret and len(access.kubernetes_secrets) < _ENOUGH
            return Verdict.KNOWN, Access(kubernetes_secrets=(secret,)) if learn else NOBODY
    # One service account for each Pod: with several programs the first that has one counts.
    account = next((account for offer in offers for account in offer.kubernetes_service_accounts), None)
    if account is not None and account in access.kubernetes_service_accounts:
        return Verdict.KNOWN, NOBODY
    return Verdict.MUST_PULL, NOBODY


def recorded(
    record: ImagePulledRecord | None, image: str, image_ref: str, access: Access, now: dt.datetime
) -> ImagePulledRecord:
    """The record with one more way to the image; the very same if it says nothing new.

    An image whose pull nobody saw the end of is recorded with NOBODY, so that each Pod shows its credentials.
    """
    name = image_names.bare(image)
    if record is None:
        mapping = {} if access == NOBODY else {name: access}
        return ImagePulledRecord(API_VERSION, now.replace(microsecond=0), image_ref, mapping)
    before = record.credential_mapping.get(name, NOBODY)
    after = _joined(before, access)
    if after == before:
        return record
    return msgspec.structs.replace(
        record,
        api_version=API_VERSION,
        image_ref=image_ref,
        last_updated_time=now.replace(microsecond=0),
        credential_mapping={**record.credential_mapping, name: after},
    )


def _access(record: ImagePulledRecord | None, image: str) -> Access:
    return record.credential_mapping.get(image_names.bare(image), NOBODY) if record is not None else NOBODY


def _joined(one: Access, other: Access) -> Access:
    if one.node_pods_accessible or other.node_pods_accessible:
        return EVERYBODY
    secrets = {_place(secret): secret for secret in (*one.kubernetes_secrets, *other.kubernetes_secrets)}
    accounts = {
        _place(account): account for account in (*one.kubernetes_service_accounts, *other.kubernetes_service_accounts)
    }
    return Access(
        kubernetes_secrets=_ordered(secrets.values()), kubernetes_service_accounts=_ordered(accounts.values())
    )


def _ordered(uses: Iterable[_Use]) -> tuple[_Use, ...]:
    return tuple(sorted(uses, key=_place))


def _place(use: SecretUse | AccountUse) -> tuple[str, str, str]:
    return use.namespace, use.name, use.uid
