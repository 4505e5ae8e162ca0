"""Who we are to the API server and how we know it is the right one: kubeconfig files and in-cluster credentials.

Certificates and tokens in files are read again when the files change, so a rotated certificate is used at once.
"""

import base64
import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

_IN_CLUSTER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class AuthError(Exception):
    """The credentials cannot be used; says which file and why."""


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes that stand in a configuration or in a file of their own; empty when both are."""

    data: bytes = b""
    path: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.data or self.path)

    def read(self) -> bytes:
        """The bytes as they are now; raises AuthError when the file cannot be read."""
        if self.path is None:
            return self.data
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise AuthError(f"{self.path}: {error.strerror}") from error

    def version(self) -> object:
        """Something that changes whenever the bytes do."""
        if self.path is None:
            return None
        try:
            found = self.path.stat()
        except OSError:
            return "missing"
        return (found.st_mtime_ns, found.st_ino, found.st_size)


@dataclass(frozen=True, slots=True)
class Identity:
    """What proves who we are: a client certificate with its key, or a bearer token."""

    certificate: Source = Source()
    key: Source = Source()
    token: Source = Source()


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the API servers are, in order of preference, and what proves that they are."""

    servers: tuple[str, ...]
    authority: Source = Source()
    insecure: bool = False
    server_name: str = ""


class Credentials:
    """A cluster and an identity in it, with the TLS context kept up to date."""

    def __init__(self, cluster: Cluster, identity: Identity) -> None:
        if not cluster.servers:
            raise AuthError("no API server is named")
        self.cluster = cluster
        self.identity = identity
        self._context: ssl.SSLContext | None = None
        self._version: object = None

    def tls(self) -> ssl.SSLContext:
        """The TLS context; a new one when a certificate file changed since the last call. Raises AuthError."""
        sources = (self.cluster.authority, self.identity.certificate, self.identity.key)
        version = [source.version() for source in sources]
        if self._context is None or version != self._version:
            try:
                self._context = self._make_context()
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

    def _make_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cluster.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.cluster.authority:
            try:
                context.load_verify_locations(cadata=self.cluster.authority.read().decode("ascii"))
            except (ssl.SSLError, ValueError) as error:
                raise AuthError(f"{_name(self.cluster.authority)}: not a PEM certificate authority: {error}") from error
        else:
            context.load_default_certs()
        if self.identity.certificate:
            with _as_file(self.identity.certificate) as certificate, _as_file(self.identity.key) as key:
                try:
                    context.load_cert_chain(certificate, key)
                except (ssl.SSLError, OSError) as error:
                    names = f"{_name(self.identity.certificate)} with {_name(self.identity.key)}"
                    raise AuthError(f"{names}: not a client certificate and its key: {error}") from error
        return context


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
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise AuthError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise AuthError(f"{path}: not YAML: {error}") from error
    try:
        config = msgspec.convert(document, _Kubeconfig)
    except msgspec.ValidationError as error:
        raise AuthError(f"{path}: not a kubeconfig: {error}") from error
    context = _named(path, "context", config.current_context, {c.name: c.context for c in config.contexts or ()})
    cluster = _named(path, "cluster", context.cluster, {c.name: c.cluster for c in config.clusters or ()})
    user = _named(path, "user", context.user, {u.name: u.user for u in config.users or ()}) if context.user else _User()
    if user.exec or user.auth_provider or user.username:
        raise AuthError(
            f"{path}: user {context.user!r} signs in by exec, auth-provider or password, which the agents do not do; "
            "give a client certificate, a token or a tokenFile"
        )
    base = path.parent
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
    )


class _Kebab(msgspec.Struct, rename=lambda name: name.replace("_", "-")):
    pass


class _Cluster(_Kebab):
    server: str = ""
    servers: list[str] | None = None
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""


class _User(_Kebab):
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = msgspec.field(default="", name="tokenFile")
    username: str = ""
    exec: dict[str, Any] | None = None
    auth_provider: dict[str, Any] | None = None


class _Context(_Kebab):
    cluster: str = ""
    user: str = ""


class _NamedCluster(_Kebab):
    name: str
    cluster: _Cluster


class _NamedUser(_Kebab):
    name: str
    user: _User


class _NamedContext(_Kebab):
    name: str
    context: _Context


class _Kubeconfig(_Kebab):
    current_context: str = ""
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None


def _named(path: Path, kind: str, name: str, among: Mapping[str, Any]) -> Any:
    if name not in among:
        known = ", ".join(sorted(among)) or "none"
        raise AuthError(f"{path}: there is no {kind} {name!r}; known: {known}")
    return among[name]


def _source(base: Path, data: str, path: str) -> Source:
    return Source(data=base64.b64decode(data)) if data else Source(path=base / path if path else None)


def _name(source: Source) -> str:
    return str(source.path) if source.path else "inline data"


@contextlib.contextmanager
def _as_file(source: Source) -> Iterator[str]:
    """A path OpenSSL can read the bytes from; bytes without a file are held in memory only."""
    if source.path is not None:
        source.read()
        yield str(source.path)
        return
    with tempfile.TemporaryFile(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as file:
        file.write(source.data)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"
