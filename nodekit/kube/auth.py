"""Who we are to the API server and how we know it is the right one: kubeconfig files and in-cluster credentials.

A kubeconfig, and certificates and tokens in files, are read again when the files change: a rotated certificate or
another address of the API server is used at once.
"""

import asyncio
import base64
import dataclasses
import logging
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from nodekit.kube import credentials, exec_plugin, kubeconfig
from nodekit.kube.credentials import AuthError, Cluster, Identity, Source

__all__ = ["AuthError", "Cluster", "Credentials", "Identity", "Source", "in_cluster", "load"]

_IN_CLUSTER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")

log = logging.getLogger(__name__)


class Credentials:
    """A cluster and an identity in it, with the TLS context kept up to date.

    `follows` is a kubeconfig, whose changes are taken over, if it is there: the cluster's always, the user's as long
    as nobody sets another `identity`.
    """

    def __init__(
        self,
        cluster: Cluster,
        identity: Identity,
        *,
        plugin: exec_plugin.Plugin | None = None,
        follows: Path | None = None,
    ) -> None:
        if not cluster.servers:
            raise AuthError("no API server is named")
        self.cluster = cluster
        self.identity = identity
        self._plugin = plugin
        self._file = Source(path=follows)
        self._file_version = self._file.version()
        self._of_file = identity
        self._signed_in: exec_plugin.Credential | None = None
        self._signing_in = asyncio.Lock()
        self._context: ssl.SSLContext | None = None
        self._version: object = None
        self._server = ""

    def at(self, server: str) -> Self:
        """The same, but with this server in place of those of the kubeconfig, now and when it is read again."""
        self._server = server.rstrip("/")
        self.cluster = self._there(self.cluster)
        return self

    def _there(self, cluster: Cluster) -> Cluster:
        return dataclasses.replace(cluster, servers=(self._server,)) if self._server else cluster

    def reread(self) -> bool:
        """Take over what changed in the kubeconfig; whether the cluster is another now. A wrong one is logged."""
        version = self._file.version()
        if version == self._file_version or self._file.path is None:
            return False
        self._file_version = version
        try:
            found = load(self._file.path)
        except AuthError as error:
            log.error("what was in the kubeconfig before goes on being used: %s", error)
            return False
        log.info("%s is read again", self._file.path)
        if self.identity is self._of_file:
            self.identity = self._of_file = found.identity
            self._plugin, self._signed_in = found._plugin, None
        before, self.cluster = self.cluster, self._there(found.cluster)
        self._context = None
        return self.cluster != before

    async def prepare(self) -> None:
        """Sign in by the plugin, when there is one and what it gave does not hold any more. Raises AuthError."""
        if self._plugin is None:
            return
        async with self._signing_in:
            if self._signed_in is not None and not _expired(self._signed_in):
                return
            try:
                found = self._signed_in = await self._plugin.sign_in()
            except exec_plugin.PluginError as error:
                raise AuthError(str(error)) from error
            self.identity = self._of_file = Identity(
                certificate=Source(data=found.certificate),
                key=Source(data=found.key),
                token=Source(data=found.token.encode()),
            )
            self._context = None

    def refused(self) -> bool:
        """The server did not know us: whether signing in anew may help."""
        had = self._signed_in is not None
        self._signed_in = None
        return had

    def tls(self) -> ssl.SSLContext:
        """The TLS context; a new one when a certificate file changed since the last call. Raises AuthError."""
        sources = (self.cluster.authority, self.identity.certificate, self.identity.key)
        version = [source.version() for source in sources]
        if self._context is None or version != self._version:
            try:
                self._context = credentials.context(self.cluster, self.identity)
            except (AuthError, ssl.SSLError, ValueError):
                # A rotation may be half done: what worked goes on working until the files are whole again.
                if self._context is None:
                    raise
            self._version = version
        return self._context

    def headers(self) -> dict[str, str]:
        """The Authorization header, when the identity is a token."""
        if not self.identity.token:
            return {}
        return {"Authorization": f"Bearer {self.identity.token.read().decode().strip()}"}


def in_cluster(environment: Mapping[str, str]) -> Credentials:
    """The service account of the Pod we run in; raises AuthError outside of one."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise AuthError("not in a Pod: KUBERNETES_SERVICE_HOST is not set; give a kubeconfig")
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    cluster = Cluster((server,), authority=Source(path=_IN_CLUSTER / "ca.crt"))
    return Credentials(cluster, Identity(token=Source(path=_IN_CLUSTER / "token")))


def load(path: Path) -> Credentials:
    """Read a kubeconfig's current context.

    A cluster's `server` may name several, separated by commas, or a list `servers` may stand beside it: the agents
    move to the next when one does not answer. Raises AuthError with the file and what is wrong in it.
    """
    cluster, user, name = kubeconfig.current(path)
    if user.auth_provider or user.username:
        raise AuthError(
            f"{path}: user {name!r} signs in by auth-provider or password, which API servers no longer take; "
            "give a client certificate, a token, a tokenFile or an exec plugin"
        )
    base = path.parent
    plugin = None
    if user.exec is not None:
        plugin = exec_plugin.Plugin(
            command=user.exec.command,
            folder=base,
            api_version=user.exec.api_version,
            args=tuple(user.exec.args or ()),
            environment={entry["name"]: entry["value"] for entry in user.exec.env or ()},
            hint=user.exec.install_hint,
        )
    servers = [part.strip() for part in cluster.server.split(",")] + list(cluster.servers or ())
    return Credentials(
        Cluster(
            servers=tuple(dict.fromkeys(server.rstrip("/") for server in servers if server)),
            authority=_source(base, cluster.certificate_authority_data, cluster.certificate_authority),
            insecure=cluster.insecure_skip_tls_verify,
            server_name=cluster.tls_server_name,
        ),
        Identity(
            certificate=_source(base, user.client_certificate_data, user.client_certificate),
            key=_source(base, user.client_key_data, user.client_key),
            # As in client-go, a token file goes before a token.
            token=Source(path=base / user.token_file) if user.token_file else Source(data=user.token.encode()),
        ),
        plugin=plugin,
        follows=path,
    )


def _expired(found: exec_plugin.Credential) -> bool:
    # A little early, so that a request under way does not outlive its credentials.
    return found.expires is not None and datetime.now(UTC) >= found.expires - timedelta(seconds=10)


def _source(base: Path, data: str, path: str) -> Source:
    if not data:
        return Source(path=base / path if path else None)
    try:
        return Source(data=base64.b64decode(data, validate=True))
    except ValueError as error:
        raise AuthError(f"inline data of the kubeconfig in {base} is not base64: {error}") from error
