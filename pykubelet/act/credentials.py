"""The credentials an image may be pulled with: the Pod's pull secrets first, then those of the node."""

from pathlib import Path
from typing import Protocol

from nodekit.kube.client import Client
from nodekit.objects.meta import Key
from pykubelet.act import ports
from pykubelet.act.credential_plugins import CredentialPlugins
from pykubelet.act.volumes.tokens import Tokens
from pykubelet.decide import pull_secrets
from pykubelet.model.ids import Uid
from pykubelet.model.image_access import Credential
from pykubelet.model.kinds import SERVICE_ACCOUNTS, Secret, ServiceAccount
from pykubelet.model.pod import Pod

PATIENCE = 30.0
"""Seconds that a Pod's pull secrets are waited for before a pull goes on without those that are still missing."""
_TOKEN_SECONDS = 3600


class Secrets(ports.Objects, ports.Holder, Protocol):
    """The Secrets that Pods refer to, and when they have been read (desired.referenced)."""


class ImageCredentials:
    """`node_file` is the node's own Docker config.json, which need not be there; `plugins` are programs, if any."""

    def __init__(self, objects: Secrets, *, node_file: Path, plugins: CredentialPlugins | None) -> None:
        self._objects = objects
        self._node_file = node_file
        self._plugins = plugins

    async def get(self, pod: Pod, image: str) -> tuple[Credential, ...]:
        """What there is for the image, best first."""
        if pod.spec.image_pull_secrets:
            # Without them the pull would be refused, and the next one come ten seconds later.
            await self._objects.settled(pod.uid, patience=PATIENCE)
        namespace = pod.metadata.namespace
        named = (self._objects.get_secret(namespace, ref.name) for ref in pod.spec.image_pull_secrets)
        found = list(pull_secrets.of((secret for secret in named if isinstance(secret, Secret)), image))
        found += pull_secrets.of_file(self._read(), image)
        if self._plugins is not None:
            found += await self._plugins.get(pod, image)
        return tuple(dict.fromkeys(found))

    def forget(self, uid: Uid) -> None:
        """The Pod is gone."""
        if self._plugins is not None:
            self._plugins.forget(uid)

    def _read(self) -> bytes:
        try:
            return self._node_file.read_bytes()
        except OSError:
            return b"{}"


class ApiAccounts:
    """Service accounts as the API server has them. What asks it raises ApiError or ContentError."""

    def __init__(self, client: Client, tokens: Tokens) -> None:
        self._client = client
        self._tokens = tokens

    async def token(self, pod: Pod, audience: str) -> str:
        """A token bound to the Pod."""
        return await self._tokens.get(pod, audience=audience, seconds=_TOKEN_SECONDS)

    async def account(self, pod: Pod) -> ServiceAccount:
        """The Pod's account."""
        return await self._client.get(SERVICE_ACCOUNTS, Key(pod.metadata.namespace, pod.spec.service_account_name))

    def forget(self, uid: Uid) -> None:
        """The Pod is gone, and its tokens with it."""
        self._tokens.forget(uid)
