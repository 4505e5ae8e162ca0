"""Who may use an image that the node has, and the files that say so.

Source: ImagePullIntent and ImagePulledRecord of kubelet.config.k8s.io/v1beta1, which the genuine kubelet writes.
"""

import dataclasses
import datetime as dt
from typing import Final

import msgspec

from nodekit.objects.base import Object
from pykubelet.model.runtime_config import AuthConfig

API_VERSION: Final = "kubelet.config.k8s.io/v1beta1"


class SecretUse(Object):
    """A pull secret that opened the image, and a hash of the credentials it held then."""

    uid: str = msgspec.field(default="", name="uid")
    namespace: str = ""
    name: str = ""
    credential_hash: str = ""


class AccountUse(Object):
    """A service account for which a credential program opened the image."""

    uid: str = msgspec.field(default="", name="uid")
    namespace: str = ""
    name: str = ""


class Access(Object):
    """Whose Pods may use an image: those with one of the secrets or accounts, or all of the node."""

    kubernetes_secrets: tuple[SecretUse, ...] = ()
    kubernetes_service_accounts: tuple[AccountUse, ...] = ()
    node_pods_accessible: bool = False


EVERYBODY: Final = Access(node_pods_accessible=True)
"""No credentials were needed, or they were the node's own."""
NOBODY: Final = Access()


@dataclasses.dataclass(frozen=True, slots=True)
class Credential:
    """What an image may be pulled with, and who may use it if that works."""

    auth: AuthConfig
    access: Access = EVERYBODY


class ImagePulledRecord(Object, tag_field="kind", tag="ImagePulledRecord"):
    """One image that a kubelet has pulled: `image_ref` is its id, the mapping is by name without tag and digest."""

    api_version: str
    last_updated_time: dt.datetime
    image_ref: str
    credential_mapping: dict[str, Access] = {}


class ImagePullIntent(Object, tag_field="kind", tag="ImagePullIntent"):
    """A pull that has begun: if the kubelet dies, the image may be there without a record."""

    api_version: str
    image: str
